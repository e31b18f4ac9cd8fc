"""`fairfed compare`: the arms of some runs and their differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evaluation.compare_report import headline, warned, write_comparison
from evaluation.compare_results import compare_results
from evaluation.compare_runs import MEASURES, PAIRED, Difference, Entry, RunComparison, compare_runs
from evaluation.intervals import Interval
from evaluation.report.results_page import write_tables
from evaluation.report.verdicts import SYMBOLS, judged
from evaluation.results import system_of
from fairfed.cli.options import argument, option
from fairfed.cli.results import print_results
from fairfed.cli.tables import titled
from semantic.errors import InputError

app = typer.Typer(add_completion=False)

SHOWN = ("accuracy", "missing_recall", "client_worst", "equalized_odds_difference")
"""Measures that fit into a terminal; the files have all."""
HEADS = ("accuracy", "lacking", "worst\nclient", "EO gap")
MIXED = (
    "{other} is a run of [{system}], and {arms} is none: compare runs of arms apart from runs of a "
    "system"
)


@app.command()
def compare(
    runs: Annotated[list[Path], argument("Directories of runs.", "RUN...")],
    out: Annotated[Path | None, option("Write comparison.html, .json and .md there.")] = None,
) -> None:
    """Compare the arms of any number of runs, paired by seed where there are several."""
    compare_here(runs, out)


def compare_here(
    runs: Sequence[Path], out: Path | None = None, console: Console | None = None
) -> None:
    """Print the arms of some runs and their differences; write the reports into `out`."""
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
    table = titled("Mean over seeds (95 % interval), in %", "arm", right=("seeds", *HEADS))
    for entry in found.entries:
        table.add_row(*_arm(entry))
    return table


def _arm(entry: Entry) -> list[str]:
    values = [_shown(entry.values[name]) for name in SHOWN]
    return [escape(entry.label), str(len(entry.seeds)), *values]


def _differences(found: RunComparison) -> Table:
    title = f"Difference from {escape(found.baseline)}, in points; ▲ better, ▼ worse, ≈ not clear, "
    title += "◇ levelled down"
    table = titled(title, "arm", "interval", right=HEADS)
    for item in found.differences:
        table.add_row(*_difference(item))
    return table


def _difference(item: Difference) -> list[str]:
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
