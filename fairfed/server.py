"""The Flower ServerApp: a study over whatever grid the engine gives."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from evaluation.errors import InputError as AuditInputError
from evaluation.report import write_report
from fairfed.client import client_app, run_configuration
from fairfed.config import Arm, Config
from fairfed.config.site import SiteConfig
from fairfed.data.table import natural_order
from fairfed.engines.apart import ClientsApart
from fairfed.engines.forwarding import ForwardingGrid
from fairfed.engines.inprocess import InProcessGrid
from fairfed.engines.private import SimulationGrid
from fairfed.engines.run import run_apps
from fairfed.rounds.progress import Watcher
from fairfed.rounds.progress_file import ProgressFile
from fairfed.rounds.remote import RemoteSites
from fairfed.rounds.run_lock import run_lock
from fairfed.rounds.tracking import check_tracker, tracked
from fairfed.sites.receipts import Receipts
from fairfed.sites.study import Study, study_of
from fairfed.system import kind_of, simulated_study, system_of
from fairfed.systems.classifier.gallery import write_gallery
from generators.device import torch_device
from semantic.encoder import check_source
from semantic.errors import InputError

logger = logging.getLogger("fairfed")

SIMULATED = (
    "data: over a SuperLink every site has data of its own; give the configuration [federation] "
    "instead of [data] and [partition], or run it on one machine (`fairfed run`)"
)


class LogWatcher:
    """Writes an experiment's progress to the log."""

    def described(self, federation: dict[str, Any]) -> None:
        """Log what the clients hold."""
        clients = next(iter(federation["splits"].values()))["train"]
        logger.info("%d clients described", len(clients))

    def synthesising(self, images: int) -> None:
        """Log that synthesis begins."""
        logger.info("synthesising about %d images", images)

    def synthesised(self, synthetic: dict[str, Any]) -> None:
        """Log what was synthesised."""
        logger.info("%d images made, %d reused", synthetic["generated"], synthetic["reused"])
        logger.info("rejected: %s", synthetic.get("rejected", {}))

    def training(self, arm: Arm, first: int, rounds: int) -> None:
        """Log that an arm begins."""
        logger.info("%s: rounds %d to %d", arm.name, first, rounds)

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        """Log a round."""
        logger.info("%s: round %d done", arm.name, row["round"])


def run(
    config: Config,
    watcher: Watcher | None = None,
    *,
    sites: Sequence[SiteConfig] = (),
    report: bool = True,
) -> Path:
    """Run or continue an experiment on this machine, as `fairfed run` does; its directory.

    Parameters
    ----------
    config
        The experiment; it names engine, workers and directory.
    watcher
        Is told about the progress; None to log it.
    sites
        With `[federation]`: who takes part.
    report
        Write the report, too. Systems with an outcome of their own always write theirs.

    Raises
    ------
    semantic.errors.InputError, evaluation.errors.InputError
        If data, models or settings are not as they should be; nothing is written then.
    fairfed.errors.RunError
        If no client answers any more.
    """
    start(checked(config), watcher, sites=sites, report=report)
    return config.run_directory


def checked(config: Config) -> Study:
    """The study of a configuration, once nothing is wrong with it.

    Raises
    ------
    semantic.errors.InputError, evaluation.errors.InputError
        If data, models or settings are not as they should be.
    """
    check_tracker(config)
    torch_device(config.device, "device")
    if config.semantic.encoder != "bundled":
        check_source(config.semantic.encoder)  # sooner than the data are read
    real = config.federation is not None
    study = study_of(config, None) if real else simulated_study(config)
    system_of(config).check(study)
    return study


def start(
    study: Study,
    watcher: Watcher | None = None,
    *,
    sites: Sequence[SiteConfig] = (),
    report: bool = True,
) -> None:
    """Run or continue a study that has been checked; see `run`.

    Parameters
    ----------
    sites
        Of a study with `[federation]`: the sites, each of which gets a process of its own. This
        one reads nothing of theirs.
    """
    app = server_app(study, watcher, report=report)
    workers = study.config.workers
    if study.simulation is not None:
        simulation, engine = study.simulation, study.config.engine
        clients = client_app(simulation)
        run_apps(app, clients, len(simulation.names), engine=engine, workers=workers)
        return
    by_name = {site.name: site for site in sites}
    ordered = [by_name[name] for name in natural_order([site.name for site in sites])]
    with ClientsApart("fairfed.client:app_of_site", ordered) as apart:
        run_apps(app, apart, len(ordered), workers=workers)


@contextmanager
def _followed(grid: Grid, context: Context, config: Config) -> Iterator[Watcher]:
    """Who is told how the run goes on: at a SuperLink, a file that `fairfed run` reads elsewhere.

    What ends the run is in it, too: Flower says of a failed run that it has failed, and no more.
    """
    if not isinstance(grid, RemoteSites):
        yield LogWatcher()
        return
    told = ProgressFile(config.run_directory, context.run_id)
    logger.setLevel(logging.INFO)
    logger.addHandler(told)
    try:
        yield told
    except (InputError, AuditInputError) as error:
        told.failed(error, 2)
        raise
    except Exception as error:
        told.failed(error, 1)
        raise
    finally:
        logger.removeHandler(told)
        told.close()


def reached(grid: Grid, config: Config, receipts: str = "") -> Grid:
    """The grid as rounds use it: that of a SuperLink with patience and names.

    Parameters
    ----------
    receipts
        Path of the key that signs receipts; empty for none.

    Raises
    ------
    semantic.errors.InputError
        If it is a SuperLink's, and the run simulates its sites.
    """
    inner = grid
    while isinstance(inner, ForwardingGrid):
        inner = inner.inner
    if isinstance(inner, InProcessGrid | SimulationGrid):
        return grid
    if config.federation is None:
        raise InputError(SIMULATED)
    signed = Receipts(Path(receipts)) if receipts else None
    return RemoteSites(grid, config.min_sites, config.wait, config.deadline, signed)


def server_app(
    study: Study | None = None, watcher: Watcher | None = None, *, report: bool = True
) -> ServerApp:
    """ServerApp of an experiment.

    Parameters
    ----------
    study
        The experiment; None to take it from the run configuration's `config` and `overrides`, as
        `flwr run` does.
    watcher
        Is told about the progress; None to log it.
    report
        Write the report, too.
    """
    made = ServerApp()

    @made.main()
    def main(grid: Grid, context: Context) -> None:
        chosen = study or checked(run_configuration(context))
        config = chosen.config
        grid = reached(grid, config, str(context.run_config.get("receipts", "")))
        with run_lock(config), _followed(grid, context, config) as followed:
            with tracked(config, watcher or followed) as told:
                run = system_of(config).run(grid, chosen, told)
            if not report:
                return
            if chosen.simulation is not None and kind_of(config) is None:
                write_gallery(run, chosen)
            logger.info("report: %s", write_report(run.path))

    return made


app = server_app()
