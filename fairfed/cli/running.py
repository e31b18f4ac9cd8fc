"""Running an experiment in the terminal: progress bars, the tables, the report."""

from __future__ import annotations

from typing import Any

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
from fairfed.tasks import task_of


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


def run_here(config: Config, fresh: bool = False) -> None:
    """Run an experiment on this machine and print its tables; the last line names the report.

    Parameters
    ----------
    config
        The experiment.
    fresh
        Remove what a run has written to its directory, once all inputs are found sound.
    """
    from fairfed.experiment import check, count_clients
    from fairfed.ownership import check_folder, clear
    from fairfed.progress import listening
    from fairfed.server import start

    console = Console()
    check_folder(config, fresh)
    with console.status("Loading data and models"):
        share_cores(config.workers)
        check(config)
        clients = count_clients(config)
    if fresh:
        clear(config)
    with Progress(*columns(), console=console) as progress:
        watcher = TerminalWatcher(console, progress)
        with listening(watcher.images_done):
            start(config, clients, watcher)
    where = config.run_directory
    if task_of(config) is None:
        print_summary(where, console)
    console.print(f"Report: {where / 'report.html'}", soft_wrap=True)
    if task_of(config) is not None:
        print_run(where, console)


def share_cores(workers: int) -> None:
    """Divide the cores among the workers: more threads than cores spin, many times slower.

    No more are taken than torch has already, which minds `OMP_NUM_THREADS`.
    """
    import os

    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (cores or 1) // workers)))
