"""Accuracy and recall of confusion counts, and the cells that other rates are made of.

Every function takes counts of shape ``(..., n_groups, n_classes, n_classes)`` (group, true class,
predicted class) with any leading batch axes, so that one call serves all bootstrap replicates.

Undefined rates
---------------
A rate with an empty denominator is NaN: the accuracy of a group without rows, the recall of a class
without rows. What fairlearn makes of it: see `evaluation.audit.metrics`.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import InputError

FloatArray = NDArray[np.float64]
CountArray = NDArray[np.int64]
Convention = Literal["exclude", "fairlearn"]


def check_counts(counts: NDArray[np.generic]) -> FloatArray:
    """Return counts ``(..., n_groups, n_classes, n_classes)``, no size 0, as float64."""
    array = np.asarray(counts, dtype=np.float64)
    if array.ndim < 3 or array.shape[-1] != array.shape[-2] or 0 in array.shape[-3:]:
        raise InputError(
            f"counts have shape {array.shape}, expected (..., n_groups, n_classes, n_classes)"
        )
    return array


def ratio_or_nan(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divide elementwise; 0 in the denominator gives NaN, without a warning."""
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    out = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out


def accuracy(counts: CountArray) -> FloatArray:
    """Share of rows predicted right, all groups pooled; shape ``(...)``, NaN without rows."""
    pooled = check_counts(counts).sum(axis=-3)
    return ratio_or_nan(np.trace(pooled, axis1=-2, axis2=-1), pooled.sum(axis=(-2, -1)))


def accuracy_by_group(counts: CountArray) -> FloatArray:
    """Share of rows predicted right; shape ``(..., n_groups)``, NaN for a group without rows."""
    array = check_counts(counts)
    return ratio_or_nan(np.trace(array, axis1=-2, axis2=-1), array.sum(axis=(-2, -1)))


def recall_by_class(counts: CountArray) -> FloatArray:
    """Recall per class, groups pooled; shape ``(..., n_classes)``, NaN for a class without rows."""
    pooled = check_counts(counts).sum(axis=-3)
    return ratio_or_nan(np.diagonal(pooled, axis1=-2, axis2=-1), pooled.sum(axis=-1))


def recall_by_cell(counts: CountArray) -> FloatArray:
    """Recall per cell; shape ``(..., n_groups, n_classes)``, NaN for a cell without rows."""
    array = check_counts(counts)
    return ratio_or_nan(np.diagonal(array, axis1=-2, axis2=-1), array.sum(axis=-1))


def confusion_cell(array: FloatArray, cell: str) -> FloatArray:
    """True or false positives or negatives of each class against the rest.

    `cell` is ``tp``, ``fp``, ``fn`` or ``tn``; ``(..., n_groups, n_classes)``. Nothing is
    subtracted: of weights of very different size the difference would be noise.
    """
    if cell == "tp":
        return np.diagonal(array, axis1=-2, axis2=-1)
    apart = 1 - np.eye(array.shape[-1])
    # True negatives: all rows of a true class but those predicted as the other one.
    others = (array @ apart if cell == "tn" else array) * apart
    return np.asarray(others.sum(axis=-1 if cell == "fn" else -2))


def pool_groups(counts: NDArray[Any]) -> NDArray[Any]:
    """Merge all groups into one; shape ``(..., 1, n_classes, n_classes)``."""
    pooled: NDArray[Any] = np.asarray(counts).sum(axis=-3, keepdims=True)
    return pooled
