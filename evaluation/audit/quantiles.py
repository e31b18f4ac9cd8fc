"""Cut points of numeric columns at their quantiles, from one reading in bounded memory.

Rows are counted by number, and beyond `evaluation.audit.leading_bits.LIMIT` different numbers by
cell: the same rows give the same cut points in any order. A cut point lies between two numbers that
occur, at the place where the rows below come nearest to the share that is wanted, and is the
shortest number there: it never moves a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from evaluation.audit.arrow import Place
from evaluation.audit.columns import numbers
from evaluation.audit.groups import NUMERIC
from evaluation.audit.labels import MISSING_TEXTS
from evaluation.audit.leading_bits import Cells, IntArray, codes_of, places, present
from evaluation.audit.number_text import number_text, simplest
from evaluation.audit.settings import ReadSettings
from evaluation.errors import InputError

CONSTANT = "column {column!r} has no cut points: its rows hold no two different numbers"
NOTE = "{column} was cut at {cuts} into groups of {shares} % of its rows (asked: {n} equal ones)"


class Counted:
    """Rows of one column by its numbers.

    Attributes
    ----------
    cells : Cells
        Numbers that occur.
    rows : ndarray of int64, shape (len(cells),)
        How often.
    problem : InputError or None
        Why the column is none of numbers.
    """

    def __init__(self, column: str, missing: frozenset[str] = MISSING_TEXTS) -> None:
        self.column, self.missing = column, missing
        self.cells = Cells(np.zeros(0, np.int64))
        self.rows: IntArray = np.zeros(0, np.int64)
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
        codes = codes_of(floats[~np.isnan(floats)])
        own = Cells(present(codes))
        rows = np.bincount(places(codes, own.codes), minlength=len(own))
        cells = self.cells.united(own)
        total = np.zeros(len(cells), np.int64)
        np.add.at(total, self.cells.places(cells), self.rows)
        np.add.at(total, own.places(cells), rows)
        self.cells, self.rows = cells, total

    def cuts(self, n: int) -> tuple[float, ...]:
        """At most ``n − 1`` cut points that leave about equally many rows in each of `n` groups.

        Fewer where many rows share a number: it is then a group alone, or with its neighbours.

        Raises
        ------
        InputError
            If the column is none of numbers, or has no two that differ.
        """
        if self.problem is not None:
            raise self.problem
        if len(self.cells) < 2:
            raise InputError(CONSTANT.format(column=self.column))
        below = np.cumsum(self.rows)[:-1]
        wanted = self.rows.sum() * np.arange(1, n) / n
        # Of two places that are equally near, the lower one.
        chosen = np.unique([int(np.argmin(np.abs(below - rows))) for rows in wanted])
        low, high = self.cells.low, self.cells.high
        return tuple(simplest(float(high[i]), float(low[i + 1])) for i in chosen)

    def shares(self, cuts: tuple[float, ...]) -> tuple[float, ...]:
        """Share of the rows in each group that cut points of `cuts` make."""
        ends = [0, *np.searchsorted(self.cells.low, cuts), len(self.rows)]
        return tuple(
            float(self.rows[start:end].sum() / self.rows.sum()) for start, end in pairwise(ends)
        )


def measured(
    columns: Iterable[str],
    batches: Iterable[tuple[Any, Place]],
    missing: frozenset[str] = MISSING_TEXTS,
) -> tuple[Counted, ...]:
    """The numbers of columns, counted."""
    counted = tuple(Counted(column, missing) for column in columns)
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
        if own.problem is None and len(own.cells) > NUMERIC:
            found = cuts[own.column] = own.cuts(settings.quantiles)
            shares = (f"{100 * share:.1f}" for share in own.shares(found))
            notes.append(
                NOTE.format(
                    column=own.column,
                    n=settings.quantiles,
                    cuts=", ".join(map(number_text, found)),
                    shares=", ".join(shares),
                )
            )
    return replace(settings, cuts=cuts, auto_cuts=False), tuple(notes)
