"""Whole runs in a test: played in this process, and what they logged."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flwr.app import Message

from fairfed.client import client_app
from fairfed.config import Config, parse_config
from fairfed.config.site import SiteConfig
from fairfed.engines.inprocess import InProcessGrid, run_in_process
from fairfed.rounds.progress import Watcher
from fairfed.server import server_app
from fairfed.sites import simulated
from fairfed.sites.collection import MAIN
from fairfed.sites.site import Site
from fairfed.sites.workplace import Workplace
from fairfed.system import simulated_study, simulation_of
from tests.fairfed import configurations
from tests.fairfed.data.tables.loans import loans
from tests.fairfed.dying import run_and_die


def people(folder: Path, *overrides: str) -> Config:
    """A run over the table of loans, which is written to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    loans().to_csv(folder / "people.csv", index=False)
    text = configurations.table(folder, folder / "people.csv")
    return parse_config(text, "people.toml", overrides)


def play(config: Config, watcher: Watcher | None = None, **options: Any) -> list[Message]:
    """Run or continue an experiment; the clients' replies, unless `on_reply` takes them."""
    seen: list[Message] = []
    options = {"on_reply": lambda done, total, reply: seen.append(reply), **options}
    study = simulated_study(config)
    sites = study.simulated("a run in a test")
    run_in_process(server_app(study, watcher), client_app(sites), len(sites.names), **options)
    return seen


def run_of(config: Config, **options: Any) -> Path:
    """Run or continue an experiment; its directory."""
    play(config, **options)
    return config.run_directory


def grid_of(config: Config, **options: Any) -> InProcessGrid:
    """The clients of a configuration's simulation, waiting for messages."""
    sites = simulation_of(config)
    return InProcessGrid(client_app(sites), len(sites.names), **options)


def site_of(config: Config, client: int, split: str = MAIN, *, pooled: bool = False) -> Site:
    """A client's site in the simulation of a configuration."""
    sites = simulation_of(config)
    return sites.cut(client, sites.study, split, pooled)


def place_of(config: Config) -> Workplace:
    """The models of the simulation of a configuration."""
    return simulated_study(config).place


def new_process() -> None:
    """Forget the data and models that this process has loaded, as a later process has."""
    simulated._HERE.clear()


PRELOADED = "fairfed.client", "generators.diffusion.generator", "open_clip", "tests.fairfed.dying"
"""Modules that import what a run needs."""


def killed(config: Config, number: int, folder: Path, sites: Sequence[SiteConfig] = ()) -> None:
    """Run in a process of its own, which is killed when a round is logged and not yet kept.

    It is forked from one that has imported everything and done nothing: importing takes longer
    than the run.
    """
    path = folder / "killed.toml"
    path.write_text(config.to_toml())
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(list(PRELOADED))
    process = server.Process(target=run_and_die, args=(str(path), number, dict(os.environ), sites))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert logged(config)[-1]["round"] == number


def logged(run: Config | Path) -> list[dict[str, Any]]:
    """Logged rounds, without their timings, of a configuration or a directory."""
    folder = run.run_directory if isinstance(run, Config) else run
    text = (folder / "rounds.jsonl").read_text()
    return [untimed(json.loads(line)) for line in text.splitlines()]


def outcome_of(folder: Path) -> Any:
    """`results.json` of a run directory, without its timings, those in its tables included."""
    content = json.loads((folder / "results.json").read_text())
    for table in content["report"]["tables"]:
        timed = [column["kind"] == "seconds" for column in table["columns"]]
        table["rows"] = [
            [cell for cell, own in zip(row, timed, strict=True) if not own] for row in table["rows"]
        ]
    return untimed(content)


def untimed(value: Any) -> Any:
    """JSON without its timings."""
    if isinstance(value, dict):
        return {k: untimed(v) for k, v in value.items() if k != "seconds"}
    return [untimed(v) for v in value] if isinstance(value, list) else value
