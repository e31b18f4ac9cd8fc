"""The subgroups that a search compares: the occupied cells of all crosses of a few columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.sparse import IntArray, SparseCounts
from evaluation.audit.subgroup_bounds import Judge, SumArray
from evaluation.audit.subgroup_cells import Cells, Where, crosses_up_to

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Subgroups with enough rows, numbered cross by cross, small crosses first.

    Parameters
    ----------
    counted : dict of tuple of int to SparseCounts
        By the columns of a cross: its cells with enough rows.
    starts : dict of tuple of int to int
        Number of the first subgroup of each cross.
    sums : ndarray of int64 or float64, shape (n, K)
        What a `Judge` reads of each subgroup.
    compared : ndarray of bool, shape (n, M)
        Metrics that rest on enough rows of the subgroup, and of all others.
    """

    counted: dict[tuple[int, ...], SparseCounts]
    starts: dict[tuple[int, ...], int]
    sums: SumArray
    compared: Flags

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
        counted[columns] = SparseCounts(cross.shape, cross.keys[enough], cross.values[enough])
        starts[columns] = start
        start += int(enough.sum())
    sums = np.concatenate([own.values for own in counted.values()])
    compared = (judge.trials(sums) >= least) & (judge.trials(cells.total - sums) >= least)
    return Candidates(counted, starts, sums, compared)
