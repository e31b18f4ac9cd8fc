"""Sparse arrays of integers that add: where an audit keeps its counts.

The cross of eight sensitive columns has more cells than there are rows; only those that occur are
kept. Everything is an integer, so that sums do not depend on the order of rows, files or sites:
int64 where rows are counted; with weights or errors, integers of any size (dtype object).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import InputError

IntArray = NDArray[np.int64]
ExactArray = NDArray[Any]
"""Int64, or integers of any size (dtype object)."""

LARGEST = 2**62
"""Cells that an index of 64 bits can tell apart, with room to spare."""
DENSE = 2**22
"""Cells up to which sums may be made in a full array: faster than sorting while it fits a cache."""
TOO_LARGE = (
    "the cross of all columns has {cells:.1e} cells, more than an index can hold: leave out a "
    "sensitive column, or bin one with many values"
)


@dataclass(frozen=True, eq=False)
class SparseCounts:
    """An integer array of which only the cells that occur are kept.

    Refused if it has more cells than an index can hold.
    """

    shape: tuple[int, ...]
    keys: IntArray  # ``(m,)``: row-major indices of the cells, strictly increasing
    # ``(m, k)``, int64 or object: rows, and sums over them, that add independently
    values: ExactArray

    def __post_init__(self) -> None:
        check_size(self.shape)

    @classmethod
    def collect(
        cls, shape: Sequence[int], flat: NDArray[np.integer], values: ExactArray
    ) -> SparseCounts:
        """Sum the values ``(n, k)`` of equal row-major indices, which come in any order."""
        check_size(shape)
        cells, keys = prod(int(size) for size in shape), np.asarray(flat, np.int64)
        if cells <= min(DENSE, 2 * len(keys)):
            return cls(tuple(shape), *_added_dense(keys, values, cells))
        return cls(tuple(shape), *_added_sorted(keys, values))

    @property
    def rows(self) -> IntArray:
        """Rows of every kept cell, shape ``(m,)``."""
        return self.values[:, 0].astype(np.int64, copy=False)

    def __add__(self, other: SparseCounts) -> SparseCounts:
        """Sum of two arrays of one shape."""
        if self.shape != other.shape:
            raise InputError(f"counts of shape {self.shape} do not add to {other.shape}")
        keys = np.concatenate([self.keys, other.keys])
        return self.collect(self.shape, keys, np.concatenate([self.values, other.values]))

    def some(self, cells: slice | NDArray[np.bool_]) -> SparseCounts:
        """Some of the kept cells."""
        return SparseCounts(self.shape, self.keys[cells], self.values[cells])

    def index(self) -> tuple[IntArray, ...]:
        """Index of every kept cell along each axis, each of shape ``(m,)``."""
        return tuple(self.along(axis) for axis in range(len(self.shape)))

    def along(self, axis: int) -> IntArray:
        """Index of every kept cell along one axis, shape ``(m,)``."""
        stride = prod(int(size) for size in self.shape[axis + 1 :])
        return np.asarray(self.keys // stride % self.shape[axis], np.int64)

    def marginal(self, axes: Sequence[int]) -> SparseCounts:
        """Sum over all axes but these, which come in the order given."""
        shape = tuple(self.shape[axis] for axis in axes)
        index = [self.along(axis) for axis in axes]
        flat = _ravel(index, shape) if index else np.zeros(len(self.keys), np.int64)
        return self.collect(shape, flat, self.values)

    def by_group(self, lead: int) -> tuple[IntArray, ExactArray]:
        """Cells of the first `lead` axes that occur, and of each a full table of the others.

        Row-major indices ``(groups,)``, and values ``(groups, *others, k)``.
        """
        tail = self.shape[lead:]
        group, inner = np.divmod(self.keys, max(prod(tail), 1))
        present, place = np.unique(group, return_inverse=True)
        width = self.values.shape[1]
        table = np.zeros((len(present), prod(tail), width), self.values.dtype)
        table[place.ravel(), inner] = self.values
        return present, table.reshape(len(present), *tail, width)

    def relabelled(self, maps: Sequence[NDArray[np.integer]], shape: Sequence[int]) -> SparseCounts:
        """The same counts under other indices: index `i` of axis `a` becomes ``maps[a][i]``."""
        if not len(self.keys):  # some axis may have no place at all, which numpy cannot number
            return SparseCounts(tuple(shape), self.keys, self.values)
        index = [np.asarray(m, np.int64)[i] for m, i in zip(maps, self.index(), strict=True)]
        return self.collect(shape, _ravel(index, shape), self.values)

    def dense(self) -> ExactArray:
        """All cells, shape ``(*shape, k)``."""
        full = np.zeros((prod(self.shape), self.values.shape[1]), self.values.dtype)
        full[self.keys] = self.values
        return full.reshape(*self.shape, self.values.shape[1])


def check_size(shape: Sequence[int]) -> None:
    """Refuse an array whose cells cannot be numbered."""
    cells = prod(int(size) for size in shape)
    if cells > LARGEST:
        raise InputError(TOO_LARGE.format(cells=float(cells)))


def _added_dense(flat: IntArray, values: ExactArray, cells: int) -> tuple[IntArray, ExactArray]:
    """Keys and sums by way of all cells."""
    occurs = np.zeros(cells, np.bool_)
    occurs[flat] = True
    keys = np.flatnonzero(occurs)
    sums = np.empty((len(keys), values.shape[1]), values.dtype)
    for k in range(values.shape[1]):
        # One column at a time is numpy's fast path; bincount is no faster, and adds as floats.
        full = np.zeros(cells, values.dtype)
        np.add.at(full, flat, values[:, k])
        sums[:, k] = full[keys]
    return np.asarray(keys, np.int64), sums


def _added_sorted(flat: IntArray, values: ExactArray) -> tuple[IntArray, ExactArray]:
    """Keys and sums by way of sorting."""
    if not (flat[1:] >= flat[:-1]).all():
        order = np.argsort(flat)
        flat, values = flat[order], values[order]
    first = np.ones(len(flat), np.bool_)
    first[1:] = flat[1:] != flat[:-1]
    starts = np.flatnonzero(first)
    return flat[starts], np.add.reduceat(values, starts, axis=0) if len(starts) else values


def _ravel(index: Sequence[IntArray], shape: Sequence[int]) -> IntArray:
    return np.asarray(np.ravel_multi_index(tuple(index), tuple(shape)), np.int64)
