"""Running an experiment in the terminal: progress bars, the tables, the report."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from evaluation.files import write_text
from fairfed.cli.following import follow
from fairfed.cli.results import print_run
from fairfed.cli.tables import print_federation, print_rejections, print_summary
from fairfed.config import Arm, Config
from fairfed.config.site import load_site
from fairfed.engines.pool import available_cores
from fairfed.rounds.run_lock import CONFIG, check_folder, clear
from fairfed.server import checked, start
from fairfed.sites.progress import listening
from fairfed.system import kind_of
from semantic.errors import InputError

NO_SITES = (
    "--site, --on: give the site.toml of every site that takes part, or the SuperLink that sites "
    "have joined; the configuration has [federation], so that its data are at sites"
)
TWO_PLACES = "--on, --site: sites are those of a SuperLink or of this machine; give one of the two"
ONLY_SITES = (
    "--site: the configuration cuts [data] into the clients of a simulation; give it [federation] "
    "to run with sites, or leave --site and --on out"
)


logger = logging.getLogger("fairfed")


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

    def images_done(self, count: int, made: int = 0) -> None:
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
        """Move the bar of an arm; where nobody sees it move, a line."""
        self._progress.advance(self._arms[arm.name])
        if not self._console.is_terminal:
            self._console.print(f"  {arm.name}: round {row['round']} done")


def columns() -> tuple[Any, ...]:
    """What a progress bar shows."""
    return (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


def run_here(
    config: Config, fresh: bool = False, sites: Sequence[Path] = (), on: str | None = None
) -> None:
    """Run an experiment and print its tables; the last line names the report.

    `fresh` removes what a run has written to its directory, once all inputs are found sound. A
    study with `[federation]` has its sites' files on this machine, or a SuperLink whose sites take
    part. Raises `InputError` if sites are given to a simulation, or none to a study of sites.
    """
    if bool(sites or on) != (config.federation is not None):
        raise InputError(NO_SITES if config.federation is not None else ONLY_SITES)
    if sites and on:
        raise InputError(TWO_PLACES)
    taking_part = [load_site(path) for path in sites]

    if on:  # another process works there, in a directory of its own
        config = config.model_copy(update={"out": str(config.run_directory.absolute())})
    console = Console()
    check_folder(config, fresh)
    with console.status("Loading data and models"):
        share_cores(config.workers)
        study = checked(config)
    if fresh:
        clear(config)
    with Progress(*columns(), console=console) as progress:
        watcher = TerminalWatcher(console, progress)
        if on:
            write_text(config.run_directory / CONFIG, config.to_toml())
            with _said(console):
                follow(config, on, watcher)
        else:
            with listening(watcher.images_done):
                start(study, watcher, sites=taking_part)
    where = config.run_directory
    if kind_of(config) is None:
        print_summary(where, console)
    console.print(f"Report: {where / 'report.html'}", soft_wrap=True)
    if kind_of(config) is not None:
        print_run(where, console)


@contextmanager
def _said(console: Console) -> Iterator[None]:
    """Print what the run's process logs, above the bars."""
    handler = RichHandler(console=console, show_path=False, show_time=False)
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.propagate = True
        logger.removeHandler(handler)


def share_cores(workers: int) -> None:
    """Divide the cores among the workers: more threads than cores spin, many times slower.

    No more are taken than torch has already, which minds `OMP_NUM_THREADS`.
    """
    torch.set_num_threads(max(1, min(torch.get_num_threads(), available_cores() // workers)))
