"""Cut points of numeric columns at their quantiles, from one reading in bounded memory.

Values are counted after rounding to three significant digits, of which there are few; the counts
do not depend on the order of rows, so that the same rows always give the same cut points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.columns import Floats, Place, numbers
from evaluation.audit.groups import NUMERIC
from evaluation.audit.labels import MISSING_TEXTS
from evaluation.audit.settings import ReadSettings
from evaluation.errors import InputError

DIGITS = 3
"""Significant digits of a cut point."""

CONSTANT = "column {column!r} has no cut points: its rows hold no two different numbers"
NOTE = "{column} was cut at its {n}-quantiles, rounded to {digits} digits: {cuts}"


class Rounded:
    """Numbers of one column, counted after rounding.

    Attributes
    ----------
    counts : Counter of float
        Rows by rounded value.
    distinct : set of float
        The first values, one more than `NUMERIC` at most.
    problem : InputError or None
        Why the column is none of numbers.
    """

    def __init__(self, column: str, missing: frozenset[str] = MISSING_TEXTS) -> None:
        self.column, self.missing = column, missing
        self.counts: Counter[float] = Counter()
        self.distinct: set[float] = set()
        self.problem: InputError | None = None

    def add(self, batch: Any, place: Place) -> None:
        """Count the rows of a batch, unless the column proved not to be one of numbers."""
        if self.problem is not None:
            return
        try:
            floats = numbers(batch.column(self.column), self.column, place, self.missing)
        except InputError as error:
            self.problem = error
            return
        values, rows = np.unique(floats[~np.isnan(floats)], return_counts=True)
        if len(self.distinct) <= NUMERIC:
            self.distinct.update(values.tolist())
        for value, n in zip(significant(values).tolist(), rows.tolist(), strict=True):
            self.counts[value] += n

    def cuts(self, n: int) -> tuple[float, ...]:
        """At most ``n − 1`` cut points that leave about equally many rows in each of `n` groups.

        Raises
        ------
        InputError
            If the column is none of numbers, or has no two that differ in their first digits.
        """
        if self.problem is not None:
            raise self.problem
        if len(self.counts) < 2:
            raise InputError(CONSTANT.format(column=self.column))
        values = np.array(sorted(self.counts))
        below = np.cumsum([self.counts[float(value)] for value in values])
        total = int(below[-1])
        wanted = [-(-total * part // n) for part in range(1, n)]
        chosen = {float(values[np.searchsorted(below, rows)]) for rows in wanted}
        # A cut at the least value would leave an empty group below it.
        return tuple(sorted(chosen - {float(values[0])}))


def significant(values: Floats) -> NDArray[np.float64]:
    """Values rounded to `DIGITS` significant digits, each as the nearest number of that text."""
    return np.array([float(f"{value:.{DIGITS}g}") for value in values], np.float64)


def measured(
    columns: Iterable[str],
    batches: Iterable[tuple[Any, Place]],
    missing: frozenset[str] = MISSING_TEXTS,
) -> tuple[Rounded, ...]:
    """The numbers of columns, counted."""
    counted = tuple(Rounded(column, missing) for column in columns)
    for batch, place in batches:
        for column in counted:
            column.add(batch, place)
    return counted


def with_cuts(
    settings: ReadSettings, batches: Iterable[tuple[Any, Place]]
) -> tuple[ReadSettings, tuple[str, ...]]:
    """Settings with cut points for every column that needs them, and a note about each."""
    cuts: dict[str, tuple[float, ...]] = {**settings.cuts}
    notes = []
    open_columns = [column for column in settings.sensitive if column not in cuts]
    for own in measured(open_columns, batches, settings.missing_texts):
        if own.problem is None and len(own.distinct) > NUMERIC:
            cuts[own.column] = own.cuts(settings.quantiles)
            shown = ", ".join(f"{cut:g}" for cut in cuts[own.column])
            notes.append(
                NOTE.format(column=own.column, n=settings.quantiles, digits=DIGITS, cuts=shown)
            )
    return replace(settings, cuts=cuts, auto_cuts=False), tuple(notes)
