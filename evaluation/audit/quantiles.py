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
from evaluation.audit.gather import Gather, ScoreGather
from evaluation.audit.groups import NUMERIC
from evaluation.audit.labels import number_text, simplest
from evaluation.audit.leading_bits import Cells
from evaluation.audit.settings import ReadSettings
from evaluation.audit.sparse import IntArray
from evaluation.errors import InputError

NOTE = "{column} was cut at {cuts} into groups of {shares} % of its rows (asked: {n} equal ones)"


def with_cuts(
    settings: ReadSettings, batches: Iterable[tuple[Any, Place]]
) -> tuple[ReadSettings, tuple[str, ...]]:
    """Settings with cut points for every column that needs them, and a note about each."""
    counted = {
        column: ScoreGather(None, Gather())
        for column in settings.sensitive
        if column not in settings.cuts
    }
    for batch, place in batches:
        for column in list(counted):
            try:
                floats = numbers(batch.column(column), column, place, settings.missing_texts)
            except InputError:  # no column of numbers: every value is a group
                del counted[column]
                continue
            known = floats[~np.isnan(floats)]
            counted[column].add((), np.zeros(len(known), np.int64), known, None)
    cuts: dict[str, tuple[float, ...]] = {**settings.cuts}
    notes = []
    for column, own in counted.items():
        sums, cells = own.counts(())
        if cells is None or len(cells) <= NUMERIC:
            continue
        cuts[column] = cut_points(cells, sums.rows, settings.quantiles)
        shares = (f"{100 * share:.1f}" for share in shares_of(cells, sums.rows, cuts[column]))
        notes.append(
            NOTE.format(
                column=column,
                n=settings.quantiles,
                cuts=", ".join(map(number_text, cuts[column])),
                shares=", ".join(shares),
            )
        )
    return replace(settings, cuts=cuts, auto_cuts=False), tuple(notes)


def cut_points(cells: Cells, rows: IntArray, n: int) -> tuple[float, ...]:
    """At most ``n − 1`` cut points that leave about equally many rows in each of `n` groups.

    Fewer where many `rows` share a number: it is then a group alone, or with its neighbours. There
    are at least two `cells` of numbers, and `n` is at least 2.
    """
    below = np.cumsum(rows)[:-1]
    wanted = rows.sum() * np.arange(1, n) / n
    # Of two places that are equally near, the lower one.
    chosen = np.unique([int(np.argmin(np.abs(below - share))) for share in wanted])
    low, high = cells.low, cells.high
    return tuple(simplest(float(high[i]), float(low[i + 1])) for i in chosen)


def shares_of(cells: Cells, rows: IntArray, cuts: tuple[float, ...]) -> tuple[float, ...]:
    """Share of the rows in each group that cut points make."""
    ends = [0, *np.searchsorted(cells.low, cuts), len(rows)]
    return tuple(float(rows[start:end].sum() / rows.sum()) for start, end in pairwise(ends))
