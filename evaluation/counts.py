"""Group counts: the sufficient statistic of every classification fairness metric.

One integer array ``values[group, y_true, y_pred]`` holds all that fairlearn's classification
metrics need to know of a set of rows. Addition merges batches, clients, rounds and machines, so a
federated metric is exact and no row ever leaves its client. (Metric values as a commutative monoid
are an idea of pfl-research, Granqvist et al. 2024, arXiv:2404.06430.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.errors import InputError

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GroupCounts:
    """Confusion counts per group, with named axes.

    Parameters
    ----------
    values : ndarray of int64, shape (n_groups, n_classes, n_classes)
        Rows per (group, true class, predicted class); never negative. Copied and made read-only.
    groups : tuple of str
        Names of the groups, unique, in the order of the first axis.
    classes : tuple of str
        Names of the classes, unique, in the order of the other two axes.

    Raises
    ------
    InputError
        If the shape, the type, a sign or a name is wrong.
    """

    values: IntArray
    groups: tuple[str, ...]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        groups, classes = tuple(self.groups), tuple(self.classes)
        _check_names("group", groups)
        _check_names("class", classes)
        values = _as_counts(self.values)
        expected = (len(groups), len(classes), len(classes))
        if values.shape != expected:
            raise InputError(
                f"group counts have shape {values.shape}, expected (groups, classes, classes) = "
                f"{expected}: give one entry per group and class name"
            )
        values = values.copy()
        values.flags.writeable = False
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "classes", classes)

    @classmethod
    def zeros(cls, groups: Sequence[str], classes: Sequence[str]) -> GroupCounts:
        """Return the neutral element of addition: no rows at all."""
        shape = (len(groups), len(classes), len(classes))
        return cls(np.zeros(shape, dtype=np.int64), tuple(groups), tuple(classes))

    @classmethod
    def from_labels(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        group: ArrayLike,
        groups: Sequence[str],
        classes: Sequence[str],
    ) -> GroupCounts:
        """Count rows.

        Parameters
        ----------
        y_true, y_pred : array_like of int, shape (n,)
            Class indices, ``0 <= index < len(classes)``.
        group : array_like of int, shape (n,)
            Group indices, ``0 <= index < len(groups)``.
        groups, classes : sequence of str
            Names of the axes.

        Raises
        ------
        InputError
            If the lengths differ, a value is no integer, or an index is out of range; the message
            names the first wrong row.
        """
        checked = {
            "y_true": _indices("y_true", y_true, len(classes)),
            "y_pred": _indices("y_pred", y_pred, len(classes)),
            "group": _indices("group", group, len(groups)),
        }
        lengths = {name: len(column) for name, column in checked.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"columns differ in length: {lengths}; give one value per row in each")
        n_groups, n_classes = len(groups), len(classes)
        flat = (checked["group"] * n_classes + checked["y_true"]) * n_classes + checked["y_pred"]
        counts = np.bincount(flat, minlength=n_groups * n_classes * n_classes)
        return cls(counts.reshape(n_groups, n_classes, n_classes), tuple(groups), tuple(classes))

    def __add__(self, other: GroupCounts) -> GroupCounts:
        """Merge two sets of rows; associative and commutative.

        Raises
        ------
        InputError
            If groups or classes differ in name or order.
        """
        if not isinstance(other, GroupCounts):
            return NotImplemented
        for axis in ("groups", "classes"):
            mine, theirs = getattr(self, axis), getattr(other, axis)
            if mine != theirs:
                raise InputError(
                    f"cannot add group counts whose {axis} differ: {mine} and {theirs}; "
                    "use the same names in the same order on every client"
                )
        return GroupCounts(self.values + other.values, self.groups, self.classes)

    def __eq__(self, other: object) -> bool:
        """Say whether names and all counts agree."""
        if not isinstance(other, GroupCounts):
            return NotImplemented
        same_names = (self.groups, self.classes) == (other.groups, other.classes)
        return same_names and bool(np.array_equal(self.values, other.values))

    def __hash__(self) -> int:
        """Hash names and counts."""
        return hash((self.groups, self.classes, self.values.tobytes()))

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.values.sum())


def _check_names(axis: str, names: tuple[str, ...]) -> None:
    if not names:
        raise InputError(f"group counts need at least one {axis} name")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{axis} names must be unique; repeated: {', '.join(repeated)}")


def _as_counts(values: Any) -> IntArray:
    array = np.asarray(values)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"group counts must be integers, got {array.dtype}: count whole rows")
    if array.size and array.min() < 0:
        raise InputError(f"group counts must not be negative, got {array.min()}")
    return array.astype(np.int64)


def _indices(name: str, values: ArrayLike, size: int) -> IntArray:
    array = np.asarray(values)
    if array.ndim != 1:
        raise InputError(f"{name} must be one column of indices, got shape {array.shape}")
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.dtype == np.bool_ or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"{name} must hold integer indices, got {array.dtype}: map names to positions"
        )
    wrong = np.flatnonzero((array < 0) | (array >= size))
    if wrong.size:
        row = int(wrong[0])
        raise InputError(f"{name} row {row}: index {array[row]} is outside 0..{size - 1}")
    return array.astype(np.int64)
