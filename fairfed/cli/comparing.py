"""Comparing runs in the terminal, and following one that is under way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fairfed.cli.results import print_results
from fairfed.cli.tables import PLAIN
from semantic.errors import InputError

if TYPE_CHECKING:
    from evaluation.compare_runs import Difference, Entry, RunComparison
    from evaluation.intervals import Interval

SHOWN = ("accuracy", "missing_recall", "client_worst", "equalized_odds_difference")
"""Measures that fit into a terminal; the files have all."""
HEADS = ("accuracy", "lacking", "worst\nclient", "EO gap")
MIXED = (
    "{other} is a run of [{system}], and {arms} is none: compare runs of arms apart from runs of a "
    "system"
)
EVERY = 5
"""Seconds between two looks at a run that is watched."""


def compare_here(
    runs: Sequence[Path], out: Path | None = None, console: Console | None = None
) -> None:
    """Print the arms of some runs and their differences; write the reports into `out`."""
    from evaluation.compare_report import headline, warned, write_comparison
    from evaluation.compare_runs import compare_runs
    from evaluation.results import system_of

    console = console or Console()
    systems = {run: system_of(run) for run in runs}
    if any(systems.values()):
        _compare_results(systems, out, console)
        return
    found = compare_runs(runs)
    console.print(_arms(found))
    if found.differences:
        console.print()
        console.print(_differences(found))
    for line in warned(found):
        console.print(f"\n{line}", style="red", highlight=False, soft_wrap=True, markup=False)
    console.print(f"\n{headline(found)}", soft_wrap=True, markup=False)
    for note in found.notes:
        console.print(note, style="dim", soft_wrap=True, markup=False)
    if out is not None:
        paths = write_comparison(found, out)
        console.print(f"Comparison: {paths['html']}", soft_wrap=True, markup=False)


def _compare_results(
    systems: Mapping[Path, str | None], out: Path | None, console: Console
) -> None:
    """The same for runs of a system with results of its own."""
    from evaluation.compare_results import compare_results
    from evaluation.report.results_page import write_tables

    arms = next((run for run, system in systems.items() if system is None), None)
    if arms is not None:
        other = next(run for run, system in systems.items() if system)
        raise InputError(MIXED.format(arms=arms, other=other, system=systems[other]))
    found = compare_results(list(systems))
    print_results(found, console)
    if out is not None:
        paths = write_tables(found, out, "comparison", "fairfed compare")
        console.print(f"Comparison: {paths['html']}", soft_wrap=True, markup=False)


def _arms(found: RunComparison) -> Table:
    table = Table(title="Mean over seeds (95 % interval), in %", **PLAIN)
    table.add_column("arm")
    table.add_column("seeds", justify="right")
    for head in HEADS:
        table.add_column(head, justify="right")
    for entry in found.entries:
        table.add_row(*_arm(entry))
    return table


def _arm(entry: Entry) -> list[str]:
    values = [_shown(entry.values[name]) for name in SHOWN]
    return [escape(entry.label), str(len(entry.seeds)), *values]


def _differences(found: RunComparison) -> Table:
    title = f"Difference from {escape(found.baseline)}, in points; ▲ better, ▼ worse, ≈ not clear, "
    title += "◇ levelled down"
    table = Table(title=title, **PLAIN)
    table.add_column("arm")
    table.add_column("interval")
    for head in HEADS:
        table.add_column(head, justify="right")
    for item in found.differences:
        table.add_row(*_difference(item))
    return table


def _difference(item: Difference) -> list[str]:
    from evaluation.compare_measures import MEASURES
    from evaluation.compare_runs import PAIRED
    from evaluation.report.verdicts import SYMBOLS, judged

    directions = {measure.name: measure.direction for measure in MEASURES}
    cells = []
    for name in SHOWN:
        own = item.changes[name]
        symbol = SYMBOLS[judged(item.changes, name, directions[name])]
        cells.append(f"{symbol} {_shown(own, signed=True)}")
    how = f"{len(item.seeds)} seeds" if item.how == PAIRED else "counts"
    return [escape(item.label), how, *cells]


def _shown(value: Interval, *, signed: bool = False) -> str:
    if math.isnan(value.value):
        return "–"
    sign = "+" if signed else ""
    text = f"{100 * value.value:{sign}.1f}"
    if math.isnan(value.low):
        return text
    return f"{text}\n[dim]{100 * value.low:{sign}.0f} to {100 * value.high:{sign}.0f}[/dim]"


def watch_here(
    run_dir: Path,
    every: int = EVERY,
    console: Console | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Path:
    """Write a run's report again whenever a round ends, until the run is complete or Ctrl-C.

    While it is watched the page loads itself again; the page that is left behind does not.

    Parameters
    ----------
    run_dir : Path
        Run directory.
    every : int
        Seconds between two looks, at least 1.
    console : Console, optional
        Where the round is shown.
    wait : callable
        Waits some seconds; tests replace it.

    Returns
    -------
    Path
        The report.
    """
    from evaluation.report import write_report

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
    from evaluation.results import system_of
    from evaluation.results_run import read_results_run
    from evaluation.run import read_run

    if system_of(run_dir):
        found = read_results_run(run_dir)
        done = {name: len(rounds) for name, rounds in found.history.items()}
        complete, rounds = found.results is not None, found.rounds
    else:
        run = read_run(run_dir)
        done, rounds = {arm.name: len(run.history[arm.name]) for arm in run.arms}, run.rounds
        complete = all(n >= rounds for n in done.values())
    return ", ".join(f"{name} {n}/{rounds}" for name, n in done.items()), complete
