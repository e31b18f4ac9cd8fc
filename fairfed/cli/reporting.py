"""`fairfed report`: of a run that has ended, or one that is followed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from evaluation.report import write_report
from evaluation.results import system_of
from evaluation.results_run import read_results_run
from evaluation.run import read_run
from fairfed.cli.options import argument
from fairfed.cli.results import print_run
from fairfed.cli.tables import print_summary

app = typer.Typer(add_completion=False)

EVERY = 5
"""Seconds between two looks at a run that is watched."""


@app.command()
def report(
    run_dir: Annotated[Path, argument("Directory of a run.")],
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Follow a run under way: write again as rounds end."),
    ] = False,
    every: Annotated[
        int, typer.Option(min=1, help="Seconds between two looks of --watch.")
    ] = EVERY,
) -> None:
    """Write report.html and report.json of a run, finished or under way, and print its table.

    Of any run: of arms, or of a system with a section of its own (peers, zsl, specialise, shared,
    heads).
    """
    path = watch_here(run_dir, every) if watch else write_report(run_dir)
    show = print_run if system_of(run_dir) else print_summary
    show(run_dir)
    typer.echo(f"Report: {path}")


def watch_here(
    run_dir: Path,
    every: int = EVERY,
    console: Console | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Path:
    """Write a run's report again whenever a round ends, until the run is complete or Ctrl-C.

    It looks every so many seconds, at least 1. While it is watched the page loads itself again; the
    page that is left behind does not.
    """
    console = console or Console()
    seen: object = "nothing yet"  # which no state of a log is: the first look always writes
    try:
        with console.status("Reading the run") as status:
            while True:
                now = _state(run_dir)
                if now != seen:
                    seen = now
                    path = write_report(run_dir, refresh=every)
                    progress, complete = _progress(run_dir)
                    status.update(f"{progress}; {path}")
                    console.print(progress, markup=False)
                    if complete:
                        break
                wait(every)
    except KeyboardInterrupt:
        console.print("Stopped watching; the run goes on.", markup=False)
    return write_report(run_dir)


def _state(run_dir: Path) -> tuple[int, int] | None:
    """Size and time of the log of rounds; None where there is none yet."""
    try:
        found = (run_dir / "rounds.jsonl").stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _progress(run_dir: Path) -> tuple[str, bool]:
    """The rounds that are over, in words, and whether they are all."""
    if system_of(run_dir):
        found = read_results_run(run_dir)
        done = {name: len(rounds) for name, rounds in found.history.items()}
        complete, rounds = found.results is not None, found.rounds
    else:
        run = read_run(run_dir)
        done, rounds = {arm.name: len(run.history[arm.name]) for arm in run.arms}, run.rounds
        complete = all(n >= rounds for n in done.values())
    return ", ".join(f"{name} {n}/{rounds}" for name, n in done.items()), complete
