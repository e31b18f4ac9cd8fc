"""Exact sums of rows by cell, over axes that grow while rows are read."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.sparse import IntArray, SparseCounts, check_size
from evaluation.errors import InputError

DENSE = 4
"""Cells per row of a batch up to which all are kept; beyond, only those that occur."""
PENDING = 4_000_000
"""Occurring cells that are gathered before they are summed."""
HALF = 31
"""Bits of the lower half that sums are split into: 2²⁰ addends of 31 bits are exact in float64."""
EXACT = 2**33
"""Addends below this need no split: 2²⁰ of them stay below 2⁵³."""

OVERFLOW = (
    "sums of weights or squared errors exceed 64 bits: scale the weights down, or give a larger "
    "`unit` (errors of 10,000 over a million rows need 0.001)"
)


class Gather:
    """Sums that add per cell.

    Parameters
    ----------
    width : int
        Sums of a cell.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._sizes: tuple[int, ...] | None = None
        self._dense: IntArray = np.zeros((0, width), np.int64)
        self._parts: list[tuple[tuple[int, ...], IntArray, IntArray]] = []
        self._pending = 0
        self._total = 0.0

    def add(self, sizes: Sequence[int], flat: IntArray, values: Sequence[IntArray]) -> None:
        """Count rows and add their values.

        Parameters
        ----------
        sizes : sequence of int
            Size of every axis now; none ever shrinks.
        flat : ndarray of int64, shape (n,)
            Row-major cell of each row, ``n`` at most 2²⁰.
        values : sequence of ndarray of int64, shape (n,)
            What each row adds beside one to the count of rows: ``width − 1`` of them.

        Raises
        ------
        InputError
            If the cells are too many to number or a sum leaves 64 bits.
        """
        sizes = tuple(sizes)
        check_size(sizes)
        self._guard(values)
        if prod(sizes) <= DENSE * len(flat):
            self._add_dense(sizes, flat, values)
        else:
            keys, place = np.unique(flat, return_inverse=True)
            self._keep(sizes, keys, _sums(place.ravel(), len(keys), values))

    def counts(self, sizes: Sequence[int]) -> SparseCounts:
        """All sums, under the final sizes of the axes."""
        self._flush()
        self._compact(tuple(sizes))
        _, keys, values = self._parts[0]
        return SparseCounts(tuple(sizes), keys, values)

    def renumber(self, sizes: Sequence[int], numbers: IntArray) -> tuple[int, ...]:
        """Give cells other numbers along the last axis; those that get the same one add up.

        Parameters
        ----------
        sizes : sequence of int
            Of the axes now.
        numbers : ndarray of int64, shape (sizes[-1],)
            The new ones.

        Returns
        -------
        tuple of int
            Sizes of the axes from now on.
        """
        self._flush()
        self._compact(tuple(sizes))
        ((_, keys, values),) = self._parts
        outer, inner = np.divmod(keys, sizes[-1])
        last = int(numbers.max(initial=-1)) + 1
        renumbered = (*sizes[:-1], last)
        self._parts = [(renumbered, outer * last + numbers[inner], values)]
        return renumbered

    def _add_dense(
        self, sizes: tuple[int, ...], flat: IntArray, values: Sequence[IntArray]
    ) -> None:
        if sizes != self._sizes:
            self._flush()
            self._sizes = sizes
            self._dense = np.zeros((prod(sizes), self._width), np.int64)
        self._dense += _sums(flat, len(self._dense), values)

    def _flush(self) -> None:
        if self._sizes is not None:
            keys = np.flatnonzero(self._dense[:, 0]).astype(np.int64)
            self._keep(self._sizes, keys, self._dense[keys])
            self._sizes = None

    def _keep(self, sizes: tuple[int, ...], keys: IntArray, values: IntArray) -> None:
        self._parts.append((sizes, keys, values))
        self._pending += len(keys)
        if self._pending > PENDING:
            self._compact(sizes)
            # Not again before as much more came as there is: that would be quadratic.
            self._pending = -len(self._parts[0][1])

    def _compact(self, sizes: tuple[int, ...]) -> None:
        empty = (np.zeros(0, np.int64), np.zeros((0, self._width), np.int64))
        moved = [(_resized(keys, own, sizes), values) for own, keys, values in self._parts]
        keys, values = (np.concatenate(parts) for parts in zip(empty, *moved, strict=True))
        total = SparseCounts.collect(sizes, keys, values)
        self._parts = [(sizes, total.keys, total.values)]

    def _guard(self, values: Sequence[IntArray]) -> None:
        # Every partial sum is at most the sum of absolute values.
        largest = max((float(np.abs(v).sum(dtype=np.float64)) for v in values), default=0.0)
        self._total += largest
        if self._total >= 2.0**62:
            raise InputError(OVERFLOW)


def ravelled(codes: Sequence[NDArray[np.int32]], sizes: Sequence[int], n: int) -> IntArray:
    """Row-major cells of `n` rows from their index along each axis."""
    flat = np.zeros(n, np.int64)
    for own, size in zip(codes, sizes, strict=True):
        flat *= size
        flat += own
    return flat


def _sums(cells: IntArray, size: int, values: Sequence[IntArray]) -> IntArray:
    counted = [np.bincount(cells, minlength=size)]
    counted += [_exact(cells, size, value) for value in values]
    return np.stack(counted, axis=1).astype(np.int64, copy=False)


def _exact(cells: IntArray, size: int, value: IntArray) -> IntArray:
    if not len(value) or (value.min() > -EXACT and value.max() < EXACT):
        return np.bincount(cells, value, size).astype(np.int64)
    high, low = value >> HALF, value & (2**HALF - 1)
    upper = np.bincount(cells, high, size).astype(np.int64)
    return (upper << HALF) + np.bincount(cells, low, size).astype(np.int64)


def _resized(keys: IntArray, sizes: tuple[int, ...], wider: tuple[int, ...]) -> IntArray:
    if sizes == wider or not len(keys):
        return keys
    index = np.unravel_index(keys, sizes)
    return np.asarray(np.ravel_multi_index(index, wider), np.int64)
