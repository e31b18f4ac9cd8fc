"""Exact sums of rows by cell, over axes that grow while rows are read; histograms of scores."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from evaluation.audit.exact_sums import BITS, Block, Sum, digits_of
from evaluation.audit.histograms import place
from evaluation.audit.leading_bits import Cells, codes_of, joined, places, present, surplus
from evaluation.audit.sparse import IntArray, SparseCounts, check_size
from evaluation.errors import InputError
from evaluation.rates import FloatArray

DENSE = 4
"""Cells per row of a batch up to which all are summed; beyond, only those that occur."""
PENDING = 4_000_000
"""Sums of cells that are gathered before they are added up."""
CHUNK = 2**15
"""Rows whose digits are made at once, unless there are more cells: they fit a cache."""
MOST = 2**33
"""Rows whose digits an int64 can add."""
TOO_MANY = "more than {most:,} rows with weights or errors: count them in parts, and merge those"

Column = tuple[int, int]
"""Which of the sums, from 1, and place of a digit."""
ROWS: Column = (0, 0)
Columns = dict[Column, IntArray]


class Gather:
    """Counts of rows, and sums that add per cell of the number that every row comes with."""

    def __init__(self, sums: Sequence[Sum] = ()) -> None:
        self._of = tuple(sums)
        self._parts: list[tuple[tuple[int, ...], IntArray, Columns]] = []
        self._pending = 0
        self._rows = 0

    def add(self, sizes: Sequence[int], flat: IntArray, numbers: FloatArray | None = None) -> None:
        """Count rows and add their numbers.

        Axes have these `sizes` now, and none ever shrinks; `flat` are the row-major cells of 2²⁰
        rows at most, `numbers` finite, and needed where there are sums.
        """
        sizes = tuple(sizes)
        check_size(sizes)
        self._rows += len(flat)
        if numbers is not None and self._rows > MOST:
            raise InputError(TOO_MANY.format(most=MOST))
        if prod(sizes) <= DENSE * len(flat):
            every = self._sums(flat, prod(sizes), numbers)
            keys = np.flatnonzero(every[ROWS]).astype(np.int64)
            columns = {name: own[keys] for name, own in every.items()}
        else:
            keys, place = np.unique(flat, return_inverse=True)
            columns = self._sums(place.ravel(), len(keys), numbers)
        self._parts.append((sizes, keys, columns))
        self._pending += len(keys) * len(columns)
        if self._pending > PENDING:
            self._compact(sizes)
            # Not again before as much more came as there is: that would be quadratic.
            self._pending = -len(self._parts[0][1]) * len(self._parts[0][2])

    @property
    def place(self) -> int:
        """Place of the finest digit of any number so far, at most 0; squares have twice it."""
        columns = (column for _, _, part in self._parts for column in part)
        return min((0, *(place for i, place in columns if i and self._power(i) == 1)))

    def counts(self, sizes: Sequence[int]) -> SparseCounts:
        """All counts and sums, under the final sizes of the axes.

        Sums are integers in units of ``BASE ** place``, or its square.
        """
        place = self.place
        self._compact(tuple(sizes))
        _, keys, columns = self._parts[0]
        rows = columns[ROWS][:, None]
        if not self._of:
            return SparseCounts(tuple(sizes), keys, rows)
        sums = [rows[:, 0].astype(object)]
        for i in range(1, len(self._of) + 1):
            total, finest = np.zeros(len(keys), object), place * self._power(i)
            for (j, digit), column in columns.items():
                if j == i:
                    total += column.astype(object) * (1 << BITS * (digit - finest))
            sums.append(total)
        return SparseCounts(tuple(sizes), keys, np.stack(sums, axis=1))

    def _power(self, i: int) -> int:
        return 2 if self._of[i - 1] == "squared" else 1

    def renumber(self, sizes: Sequence[int], numbers: IntArray) -> tuple[int, ...]:
        """Give cells other numbers along the last axis; those that get the same one add up.

        The sizes of the axes from now on are returned.
        """
        self._compact(tuple(sizes))
        ((_, keys, columns),) = self._parts
        outer, inner = np.divmod(keys, sizes[-1])
        last = int(numbers.max(initial=-1)) + 1
        renumbered = (*sizes[:-1], last)
        self._parts = [(renumbered, outer * last + numbers[inner], columns)]
        return renumbered

    def _sums(self, cells: IntArray, size: int, numbers: FloatArray | None) -> Columns:
        found: Columns = {ROWS: np.bincount(cells, minlength=size)}
        if numbers is None:
            return found
        step = max(CHUNK, size)
        for start in range(0, len(cells), step):
            own = cells[start : start + step]
            for block in digits_of(numbers[start : start + step]):
                for i, kind in enumerate(self._of, 1):
                    _add_block(found, i, block.summed(kind), own, size)
        return found

    def _compact(self, sizes: tuple[int, ...]) -> None:
        names = sorted({ROWS, *(name for _, _, columns in self._parts for name in columns)})
        keys, values = [np.zeros(0, np.int64)], [np.zeros((0, len(names)), np.int64)]
        for own, part, columns in self._parts:
            keys.append(_resized(part, own, sizes))
            none = np.zeros(len(part), np.int64)
            values.append(np.stack([columns.get(name, none) for name in names], axis=1))
        total = SparseCounts.collect(sizes, np.concatenate(keys), np.concatenate(values))
        self._parts = [(sizes, total.keys, dict(zip(names, total.values.T, strict=True)))]


def _add_block(found: Columns, i: int, block: Block, cells: IntArray, size: int) -> None:
    own = cells[block.rows]
    for k, digits in enumerate(block.digits):
        if digits.any():
            sums = np.bincount(own, digits, size).astype(np.int64)
            column = (i, block.first - k)
            if column in found:
                found[column] += sums
            else:
                found[column] = sums


def _resized(keys: IntArray, sizes: tuple[int, ...], wider: tuple[int, ...]) -> IntArray:
    if sizes == wider or not len(keys):
        return keys
    index = np.unravel_index(keys, sizes)
    return np.asarray(np.ravel_multi_index(index, wider), np.int64)


class ScoreGather:
    """Counts of rows by score, the last axis: in equal bins, or without `bins` as they are.

    Scores are then numbered as they appear; where they become too many, neighbours get one number,
    as in `evaluation.audit.leading_bits`. That serves any numbers: cut points are found so, too.
    """

    def __init__(self, bins: int | None, sums: Gather) -> None:
        self._bins, self._sums = bins, sums
        self._codes: IntArray = np.zeros(0, np.int64)
        self._dropped = 0
        self._lead: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        """Of the last axis."""
        return len(self._codes) if self._bins is None else self._bins

    def add(
        self, lead: Sequence[int], flat: IntArray, scores: FloatArray, weights: FloatArray | None
    ) -> None:
        """Count rows, each in a cell `flat` of all axes but that of the scores.

        Scores are finite, and in [0, 1] where bins are counted.
        """
        numbers = self._numbers(scores) if self._bins is None else place(scores, self._bins)
        self._lead = tuple(lead)
        self._sums.add((*lead, self.size), flat * self.size + numbers, weights)

    def counts(self, lead: Sequence[int]) -> tuple[SparseCounts, Cells | None]:
        """All counts under the final sizes of the leading axes, and what the last axis stands for.

        Without cells these are equal bins.
        """
        if self._bins is not None:
            return self._sums.counts((*lead, self._bins)), None
        order = np.argsort(self._codes)
        ranks = np.empty_like(order)
        ranks[order] = np.arange(len(order))
        sizes = self._sums.renumber((*lead, self.size), ranks)
        return self._sums.counts(sizes), Cells(self._codes[order], self._dropped)

    def _numbers(self, scores: FloatArray) -> IntArray:
        """Number of the cell of every score, after room was made for it."""
        codes = codes_of(scores) >> self._dropped
        known = np.sort(self._codes)
        wider = joined(known, present(codes))
        extra = surplus(wider)
        if extra:
            self._coarsen(extra)
            return self._numbers(scores)
        new = np.ones(len(wider), np.bool_)
        new[places(known, wider)] = False
        self._codes = np.concatenate([self._codes, wider[new]])
        return np.argsort(self._codes)[places(codes, wider)]

    def _coarsen(self, extra: int) -> None:
        coarse, numbers = np.unique(self._codes >> extra, return_inverse=True)
        if self._lead is not None:
            self._sums.renumber((*self._lead, self.size), numbers)
        self._codes, self._dropped = coarse, self._dropped + extra
