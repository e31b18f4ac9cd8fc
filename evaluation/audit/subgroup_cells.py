"""Sums of rows by cell of the sensitive columns; every cross of a few of them has subgroups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.exact_sums import BITS, bits, rounded
from evaluation.audit.sparse import ExactArray, IntArray, SparseCounts
from evaluation.audit.subgroup_bounds import ErrorJudge, Judge, SumArray, error_rates
from evaluation.audit.tally import Tally
from evaluation.rates import FloatArray

Where = tuple[tuple[int, int], ...]
"""Columns and levels that define a subgroup, by index; columns rise."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Cells:
    """Sums of rows in the cells of the cross of all sensitive columns that occur."""

    sizes: tuple[int, ...]  # levels of each column
    levels: tuple[IntArray, ...]  # of every cell along each column
    sums: SumArray  # ``(m, K)``: what a `Judge` reads

    @property
    def total(self) -> SumArray:
        """Sums of all rows, shape ``(K,)``."""
        return np.asarray(self.sums.sum(axis=0))

    def cross(self, columns: tuple[int, ...]) -> SparseCounts:
        """Sums by the cells of a cross of columns."""
        shape = tuple(self.sizes[column] for column in columns)
        flat = self.levels[columns[0]]
        for column in columns[1:]:
            flat = flat * self.sizes[column] + self.levels[column]
        return SparseCounts.collect(shape, flat, self.sums)

    def within(self, where: Where) -> Cells:
        """The cells of a subgroup alone."""
        keep = np.ones(len(self.sums), np.bool_)
        for column, level in where:
            keep &= self.levels[column] == level
        return Cells(self.sizes, tuple(own[keep] for own in self.levels), self.sums[keep])


def cells_of(tally: Tally) -> tuple[Cells, Judge]:
    """Take from a tally what a search of subgroups needs, over all clients."""
    axes = range(1, 1 + len(tally.schema.axes))
    sizes = tally.schema.group_shape[1:]
    counted, judge, sums = _judged(tally)
    levels = tuple(counted.along(axis) for axis in axes)
    whole = Cells(sizes, levels, sums)
    if not sizes:
        return whole, judge
    merged = whole.cross(tuple(range(len(sizes))))
    return Cells(sizes, merged.index(), merged.values), judge


def crosses_up_to(depth: int, columns: int) -> Iterator[tuple[int, ...]]:
    """Every set of at most `depth` of so many columns, small ones first."""
    for size in range(1, min(depth, columns) + 1):
        yield from combinations(range(columns), size)


def _judged(tally: Tally) -> tuple[SparseCounts, Judge, SumArray]:
    """The counts, their judge, and for each of their cells the sums that it reads."""
    counted, classes = tally.judged, len(tally.schema.classes)
    if tally.schema.task == "regression":
        return counted, *_errors(counted.values, tally.schema.place)
    lead = len(tally.schema.group_shape)
    true, predicted = counted.along(lead), counted.along(lead + 1)
    rows, wrong = counted.rows, true != predicted
    if classes != 2:
        return counted, error_rates(classes), np.stack([rows, rows * wrong], axis=1)
    sides = [rows * (true == side) for side in (0, 1)]
    columns = [sides[0], sides[0] * wrong, sides[1], sides[1] * wrong]
    return counted, error_rates(classes), np.stack(columns, axis=1)


def _errors(values: ExactArray, place: int) -> tuple[Judge, FloatArray]:
    """Sums of distances from the mean absolute error, in units of their size; exact until then."""
    rows, _, absolute, squares = values.T
    n, total = int(rows.sum()), int(absolute.sum())
    centre = total // max(n, 1)
    squares = squares - 2 * centre * absolute + centre**2 * rows
    absolute = absolute - centre * rows
    size = bits(int(squares.sum()), n) // 2
    sums = [rounded(rows), rounded(absolute, -size), rounded(squares, -2 * size)]
    unit = float(np.ldexp(1.0, size + BITS * place))
    judge = ErrorJudge(unit, float(rounded(np.array(centre, object), -size)))
    return judge, np.stack(sums, axis=1)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Subgroups with enough rows, numbered cross by cross, small crosses first."""

    # by the columns of a cross: its cells with enough rows
    counted: dict[tuple[int, ...], SparseCounts]
    starts: dict[tuple[int, ...], int]  # number of the first subgroup of each cross
    sums: SumArray  # ``(n, K)``: what a `Judge` reads of each subgroup
    compared: Flags  # ``(n, M)``: metrics that rest on enough rows, also of all others

    def where(self, index: int) -> Where:
        """Conditions that define a subgroup."""
        columns = next(c for c in reversed(self.starts) if self.starts[c] <= index)
        cell = self.levels(columns, np.array([index]))
        return tuple((column, int(cell[column][0])) for column in columns)

    def keys(self, columns: tuple[int, ...], index: IntArray) -> IntArray:
        """Cells of subgroups of one cross."""
        return self.counted[columns].keys[index - self.starts[columns]]

    def levels(self, columns: tuple[int, ...], index: IntArray) -> dict[int, NDArray[np.intp]]:
        """Level along each column of subgroups of one cross."""
        cells = np.unravel_index(self.keys(columns, index), self.counted[columns].shape)
        return dict(zip(columns, cells, strict=True))

    def by_cross(self, chosen: IntArray) -> Iterator[tuple[tuple[int, ...], IntArray]]:
        """Split rising numbers into those of each cross."""
        for columns, start in self.starts.items():
            ends = np.searchsorted(chosen, [start, start + len(self.counted[columns].keys)])
            if ends[0] < ends[1]:
                yield columns, chosen[ends[0] : ends[1]]

    def find(
        self, columns: tuple[int, ...], levels: Sequence[NDArray[np.intp]]
    ) -> tuple[IntArray, Flags]:
        """Numbers of the subgroups at some levels of a cross, and which of them there are."""
        counted = self.counted[columns]
        keys = np.ravel_multi_index(tuple(levels), counted.shape)
        if not len(counted.keys):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), np.bool_)
        places = np.minimum(np.searchsorted(counted.keys, keys), len(counted.keys) - 1)
        return self.starts[columns] + places, counted.keys[places] == keys


def candidates_of(cells: Cells, judge: Judge, depth: int, least: int) -> Candidates:
    """Collect the subgroups of up to `depth` columns that have at least `least` rows."""
    counted, starts, start = {}, {}, 0
    for columns in crosses_up_to(depth, len(cells.sizes)):
        cross = cells.cross(columns)
        # The first metric rests on all rows.
        enough = judge.trials(cross.values)[:, 0] >= least
        counted[columns] = cross.some(enough)
        starts[columns] = start
        start += int(enough.sum())
    sums = np.concatenate([own.values for own in counted.values()])
    compared = (judge.trials(sums) >= least) & (judge.trials(cells.total - sums) >= least)
    return Candidates(counted, starts, sums, compared)
