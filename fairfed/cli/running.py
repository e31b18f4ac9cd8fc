"""Running an experiment in the terminal: progress bars, the tables, the report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from fairfed.cli.results import print_run
from fairfed.cli.tables import print_federation, print_rejections, print_summary
from fairfed.config import Arm, Config
from fairfed.config.site import load_site
from fairfed.rounds.run_lock import check_folder, clear
from fairfed.server import checked, start
from fairfed.sites.progress import listening
from fairfed.system import kind_of
from semantic.errors import InputError

NO_SITES = (
    "--site: give the site.toml of every site that takes part; the configuration has [federation], "
    "so that its data are at sites"
)
ONLY_SITES = (
    "--site: the configuration cuts [data] into the clients of a simulation; give it [federation] "
    "to run with sites, or leave --site out"
)


class TerminalWatcher:
    """Shows an experiment's progress as bars."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console = console
        self._progress = progress
        self._synthesis: TaskID | None = None
        self._arms: dict[str, TaskID] = {}

    def described(self, federation: dict[str, Any]) -> None:
        """Show what the clients hold."""
        print_federation(self._console, federation)

    def synthesising(self, images: int) -> None:
        """Open the bar of the synthesis."""
        self._synthesis = self._progress.add_task("Synthesising missing cells", total=images)

    def images_done(self, count: int) -> None:
        """Move the bar of the synthesis."""
        if self._synthesis is not None:
            self._progress.advance(self._synthesis, count)

    def synthesised(self, synthetic: dict[str, Any]) -> None:
        """Say what the synthesis cost."""
        if self._synthesis is not None:
            task = self._progress.tasks[self._synthesis]
            self._progress.update(self._synthesis, total=max(1, task.completed))
            if not task.completed:
                self._progress.update(self._synthesis, completed=1)
            self._synthesis = None
        made, reused = synthetic["generated"], synthetic["reused"]
        self._console.print(
            f"  {made} images generated, {reused} taken from the store, "
            f"in {synthetic['seconds']:.0f} s"
        )
        print_rejections(self._console, synthetic)

    def training(self, arm: Arm, first: int, rounds: int) -> None:
        """Open the bar of an arm."""
        self._arms[arm.name] = self._progress.add_task(arm.name, total=rounds, completed=first - 1)

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        """Move the bar of an arm."""
        self._progress.advance(self._arms[arm.name])


def columns() -> tuple[Any, ...]:
    """What a progress bar shows."""
    return (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


def run_here(config: Config, fresh: bool = False, sites: Sequence[Path] = ()) -> None:
    """Run an experiment on this machine and print its tables; the last line names the report.

    Parameters
    ----------
    config
        The experiment.
    fresh
        Remove what a run has written to its directory, once all inputs are found sound.
    sites
        With `[federation]` in the configuration: the files of the sites that take part.

    Raises
    ------
    semantic.errors.InputError
        If sites are given to a simulation, or none to a study of sites.
    """
    if bool(sites) != (config.federation is not None):
        raise InputError(NO_SITES if config.federation is not None else ONLY_SITES)
    taking_part = [load_site(path) for path in sites]

    console = Console()
    check_folder(config, fresh)
    with console.status("Loading data and models"):
        share_cores(config.workers)
        study = checked(config)
    if fresh:
        clear(config)
    with Progress(*columns(), console=console) as progress:
        watcher = TerminalWatcher(console, progress)
        with listening(watcher.images_done):
            start(study, watcher, sites=taking_part)
    where = config.run_directory
    if kind_of(config) is None:
        print_summary(where, console)
    console.print(f"Report: {where / 'report.html'}", soft_wrap=True)
    if kind_of(config) is not None:
        print_run(where, console)


def share_cores(workers: int) -> None:
    """Divide the cores among the workers: more threads than cores spin, many times slower.

    No more are taken than torch has already, which minds `OMP_NUM_THREADS`.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (cores or 1) // workers)))
