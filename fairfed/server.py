"""The Flower ServerApp: an experiment over whatever grid the engine gives."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fairfed.config import Arm, Config, load_config
from fairfed.engines import run_apps
from fairfed.experiment import check, count_clients, run_experiment
from fairfed.gallery import write_gallery
from fairfed.ownership import occupied
from fairfed.progress import Watcher
from fairfed.tasks import task_of

logger = logging.getLogger("fairfed")


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


def run(config: Config, watcher: Watcher | None = None, *, report: bool = True) -> Path:
    """Run or continue an experiment on this machine, as `fairfed run` does; its directory.

    Parameters
    ----------
    config
        The experiment; it names engine, workers and directory.
    watcher
        Is told about the progress; None to log it.
    report
        Write the report, too. Systems with an outcome of their own always write theirs.

    Raises
    ------
    semantic.errors.InputError, evaluation.errors.InputError
        If data, models or settings are not as they should be; nothing is written then.
    fairfed.errors.RunError
        If no client answers any more.
    """
    check(config)
    start(config, count_clients(config), watcher, report=report)
    return config.run_directory


def start(
    config: Config, clients: int, watcher: Watcher | None = None, *, report: bool = True
) -> None:
    """Run or continue an experiment that has been checked; see `run`."""
    from fairfed.client import app as client_app

    run_apps(
        server_app(config, watcher, report=report),
        client_app,
        clients,
        engine=config.engine,
        workers=config.workers,
    )


def server_app(
    config: Config | None = None, watcher: Watcher | None = None, *, report: bool = True
) -> ServerApp:
    """ServerApp of an experiment.

    Parameters
    ----------
    config
        The experiment; None to take it from the run configuration's `config` (path of a TOML file,
        empty for the defaults) and `overrides` (`"rounds=3 train.lr=0.1"`), as `flwr run` does.
    watcher
        Is told about the progress; None to log it.
    report
        Write the report, too.
    """
    made = ServerApp()

    @made.main()
    def main(grid: Grid, context: Context) -> None:
        from evaluation.report import write_report
        from fairfed.engines.deployment import refuse_deployment

        refuse_deployment(grid)

        chosen = config or _configured(context)
        with occupied(chosen):
            run = run_experiment(grid, chosen, watcher or LogWatcher())
            if not report:
                return
            if task_of(chosen) is None:
                write_gallery(run)
            logger.info("report: %s", write_report(run.path))

    return made


def _configured(context: Context) -> Config:
    path = str(context.run_config.get("config", ""))
    overrides = str(context.run_config.get("overrides", "")).split()
    return load_config(path or None, overrides)


app = server_app()
