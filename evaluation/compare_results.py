"""Any number of runs of one system side by side: mean and spread of its figures over seeds.

What is compared are the columns of a system's tables that say which value is better. Differences
from the first row are paired over the seeds that both were run with, as in `compare_runs`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.compare_runs import configurations, student_interval
from evaluation.errors import InputError
from evaluation.numbers import MINUS
from evaluation.rates import FloatArray
from evaluation.report.verdicts import SYMBOLS, UNDEFINED, verdict
from evaluation.results import Column, Kind, Results, Table
from evaluation.results_run import ResultsRun, read_results_run

Key = tuple[str, ...]
Figures = dict[Key, dict[int, list[float]]]
"""Figures by row, configuration first, and seed."""

OTHER_SYSTEM = (
    "{first} is a run of [{one}] and {second} one of [{other}]: their figures are not of one kind; "
    "compare runs of one system"
)
ONE_SEED = "No configuration was run with two seeds: what the seed alone changes is not known."
LEGEND = "Mean ± standard deviation over seeds; in % where a figure is a share."
DIFFERENCES = (
    "Paired over the seeds that both were run with: mean difference and its 95 % interval "
    "(Student's); ▲ better, ▼ worse, ≈ not clear; of shares in percentage points."
)


def compare_results(paths: Sequence[str | Path]) -> Results:
    """Read runs of one system that have ended, and compare their figures."""
    runs = [read_results_run(path) for path in dict.fromkeys(Path(p).resolve() for p in paths)]
    first = runs[0]
    for run in runs:
        if run.system != first.system:
            raise InputError(
                OTHER_SYSTEM.format(
                    first=first.path, one=first.system, second=run.path, other=run.system
                )
            )
    own = configurations(runs, lambda run: run.system)
    several = max(map(len, own.values())) > 1
    tables = []
    for found in _compared(own):
        tables.append(_means(found))
        if several and len(found.figures) > 1:
            tables.append(_differences(found))
    seeds = ", ".join(map(str, sorted({run.seed for run in runs})))
    return Results(
        name="Comparison of runs",
        seed=None,
        system=first.system,
        title=first.found.title,
        about=(
            f"{len(runs)} runs, seeds {seeds}",
            *(f"{name}: {', '.join(str(run.path) for run in of)}" for name, of in own.items()),
        ),
        warnings=() if several else (ONE_SEED,),
        tables=tuple(tables),
    )


@dataclass(frozen=True)
class Compared:
    """A table to compare: its place, the columns that name its rows, and its figures."""

    place: int
    names: tuple[Column, ...]
    columns: tuple[Column, ...]
    figures: Figures
    several: bool

    def table(self, rows: Sequence[tuple[Any, ...]], kind: Kind | None = None) -> Table:
        """A table with a row for each key; its cells are of their columns' kinds, or of one."""
        heads = [Column("configuration", "text")] if self.several else []
        own = [replace(c, kind=kind) if kind else c for c in self.columns]
        return Table((*heads, *self.names, Column("seeds", "count"), *own), tuple(rows))

    def named(self, key: Key) -> Key:
        """The names of a row, the configuration's where there are several."""
        return key if self.several else key[1:]


def _compared(own: dict[str, list[ResultsRun]]) -> Iterator[Compared]:
    """The tables that all runs have, as far as they have columns to compare."""
    tables = [run.found.tables for runs in own.values() for run in runs]
    for place, first in enumerate(tables[0]):
        columns = tuple(
            column
            for column in first.columns
            if column.better and all(column in t[place].columns for t in tables if place < len(t))
        )
        if columns and all(place < len(each) for each in tables):
            names = first.columns[: first.left]
            figures = _figures(own, place, names, columns)
            yield Compared(place, names, columns, figures, len(own) > 1)


def _figures(
    own: dict[str, list[ResultsRun]],
    place: int,
    names: tuple[Column, ...],
    columns: tuple[Column, ...],
) -> Figures:
    """The figures of a table by configuration, row and seed; NaN where undefined."""
    found: Figures = {}
    for name, runs in own.items():
        for run in runs:
            table = run.found.tables[place]
            for row in table.rows:
                cells = dict(zip(table.columns, row, strict=True))
                key = (name, *(str(cells[column]) for column in names))
                values = [column.sort(cells[column]) for column in columns]
                found.setdefault(key, {})[run.seed] = values
    return found


def _means(found: Compared) -> Table:
    rows = []
    for key, by_seed in found.figures.items():
        values = np.array(list(by_seed.values()))
        rows.append((*found.named(key), len(by_seed), *map(_mean_and_sd, values.T)))
    return replace(found.table(rows), legend=LEGEND)


def _mean_and_sd(values: FloatArray) -> tuple[float | None, float | None]:
    known = values[~np.isnan(values)]
    if not known.size:
        return None, None
    return float(known.mean()), float(known.std(ddof=1)) if known.size > 1 else None


def _differences(found: Compared) -> Table:
    (base_key, base), *others = found.figures.items()
    rows = []
    for key, own in others:
        common = [seed for seed in own if seed in base]
        values = np.array([np.subtract(own[seed], base[seed]) for seed in common])
        values = values.reshape(len(common), len(found.columns))
        cells = map(_difference, values.T, found.columns)
        rows.append((*found.named(key), len(common), *cells))
    title = f"Differences from {', '.join(found.named(base_key))}"
    return replace(found.table(rows, "text"), title=title, legend=DIFFERENCES)


def _difference(values: FloatArray, column: Column) -> str:
    """A mean difference with its interval, and what that says."""
    found = student_interval(values, values.size)
    word = verdict(found, column.better)
    if math.isnan(found.value):
        return SYMBOLS[UNDEFINED]
    mean, low, high = (_signed(column, end) for end in (found.value, found.low, found.high))
    return f"{SYMBOLS[word]} {mean}" + ("" if math.isnan(found.low) else f" ({low} to {high})")


def _signed(column: Column, value: float) -> str:
    text = column.text(abs(value))
    sign = "" if not text.strip("0.") else MINUS if value < 0 else "+"
    return sign + text
