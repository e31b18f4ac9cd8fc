"""Rates of confusion counts, per group and one-vs-rest per class.

Every function takes counts of shape ``(..., n_groups, n_classes, n_classes)`` (group, true class,
predicted class) with any leading batch axes, so that one call serves all bootstrap replicates.

Undefined rates
---------------
A rate with an empty denominator is NaN: the accuracy of a group without rows, the recall of a class
without rows, the precision of a class that is never predicted. ``convention="fairlearn"`` keeps NaN
for a group without rows (fairlearn never sees such a group) but sets the true and false positive
rate of a group *with* rows to 0 when the denominator is empty, as fairlearn does through
scikit-learn's normalised confusion matrix.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import InputError

FloatArray = NDArray[np.float64]
CountArray = NDArray[np.int64]
Convention = Literal["exclude", "fairlearn"]

CONVENTION_ERROR = "convention must be 'exclude' or 'fairlearn', got {!r}"


def check_counts(counts: NDArray[np.generic]) -> FloatArray:
    """Return the counts as float64 after checking their shape.

    Raises
    ------
    InputError
        If the shape is not ``(..., n_groups, n_classes, n_classes)`` with at least one of each.
    """
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


def selection_rate(counts: CountArray) -> FloatArray:
    """P(Ŷ = c | A = a): share of a group's rows predicted as a class.

    Returns
    -------
    ndarray, shape (..., n_groups, n_classes)
        NaN for a group without rows.
    """
    array = check_counts(counts)
    return ratio_or_nan(array.sum(axis=-2), array.sum(axis=(-2, -1))[..., None])


def true_positive_rate(counts: CountArray, convention: Convention = "exclude") -> FloatArray:
    """P(Ŷ = c | Y = c, A = a), one-vs-rest.

    Parameters
    ----------
    counts : ndarray, shape (..., n_groups, n_classes, n_classes)
        Confusion counts.
    convention : {"exclude", "fairlearn"}
        Value of a group with rows but none of class c: NaN or 0 (see the module).

    Returns
    -------
    ndarray, shape (..., n_groups, n_classes)
    """
    array = check_counts(counts)
    positives = array.sum(axis=-1)
    hits = np.diagonal(array, axis1=-2, axis2=-1)
    return _fill(ratio_or_nan(hits, positives), array, convention)


def false_positive_rate(counts: CountArray, convention: Convention = "exclude") -> FloatArray:
    """P(Ŷ = c | Y ≠ c, A = a), one-vs-rest; shapes and convention as in `true_positive_rate`."""
    array = check_counts(counts)
    _, alarms, _, rest = confusion_cells(array)
    return _fill(ratio_or_nan(alarms, alarms + rest), array, convention)


def confusion_cells(array: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """True and false positives, false and true negatives of each class.

    Nothing is subtracted: of weights of very different size the difference would be noise.

    Parameters
    ----------
    array : ndarray of float64, shape (..., n_groups, n_classes, n_classes)
        Confusion counts.

    Returns
    -------
    tuple of ndarray, each of shape (..., n_groups, n_classes)
    """
    tp = _diagonal(array)
    if array.shape[-1] == 2:
        fp = np.stack([array[..., 1, 0], array[..., 0, 1]], axis=-1)
        return tp, fp, fp[..., ::-1], tp[..., ::-1]
    apart = 1 - np.eye(array.shape[-1])
    # Rows of a true class that are predicted as another than each: on the diagonal, those missed.
    others = array @ apart
    return tp, (array * apart).sum(axis=-2), _diagonal(others), (others * apart).sum(axis=-2)


def _diagonal(array: FloatArray) -> FloatArray:
    return np.diagonal(array, axis1=-2, axis2=-1)


def pool_groups(counts: NDArray[Any]) -> NDArray[Any]:
    """Merge all groups into one; shape ``(..., 1, n_classes, n_classes)``."""
    pooled: NDArray[Any] = np.asarray(counts).sum(axis=-3, keepdims=True)
    return pooled


def _fill(rates: FloatArray, array: FloatArray, convention: Convention) -> FloatArray:
    if convention == "exclude":
        return rates
    if convention != "fairlearn":
        raise InputError(CONVENTION_ERROR.format(convention))
    has_rows = array.sum(axis=(-2, -1))[..., None] > 0
    return np.where(has_rows & np.isnan(rates), 0.0, rates)
