"""The results of a run, or of several, in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from evaluation.results import FILE, read_results
from fairfed.cli.tables import titled

if TYPE_CHECKING:
    from evaluation.results import Results


def print_results(results: Results, console: Console) -> None:
    """Print sentences and tables."""
    for line in results.about:
        console.print(line, style="dim", highlight=False, soft_wrap=True, markup=False)
    for line in results.warnings:
        console.print(line, style="yellow", highlight=False, soft_wrap=True, markup=False)
    for table in results.tables:
        heads = [escape(column.title) for column in table.columns]
        shown = titled(escape(table.title), *heads[: table.left], right=tuple(heads[table.left :]))
        for row in table.texts():
            shown.add_row(*map(escape, row))
        console.print(shown)
        if table.legend:
            console.print(table.legend, style="dim", highlight=False, markup=False)
    for line in results.remarks:
        console.print(line, style="dim", highlight=False, markup=False)


def print_run(run_dir: Path, console: Console | None = None) -> None:
    """Print what a run found, finished or under way; the last line names `results.md`."""
    console = console or Console()
    if not (run_dir / FILE).is_file():
        console.print("The run has no results yet; it writes them when it ends.", style="dim")
        return
    print_results(read_results(run_dir), console)
    console.print(f"Results: {run_dir / 'results.md'}", soft_wrap=True, markup=False)
