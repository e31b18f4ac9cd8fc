"""Group fairness metrics as pure functions of confusion counts.

Definitions are fairlearn's (Bird et al. 2020; Agarwal et al. 2018, arXiv:1803.02453; Hardt et al.
2016, arXiv:1610.02413), computed from counts ``(..., n_groups, n_classes, n_classes)`` with any
leading batch axes.

Conventions
-----------
* **Two classes**: the positive class is the last one (index 1), as in fairlearn.
* **More classes**: one-vs-rest per class, then ``across="macro"`` (mean over the classes for which
  the gap is defined) or ``across="worst"`` (largest difference, smallest ratio).
* **Groups**: a group without rows is left out of every gap. With ``convention="exclude"`` (the
  default) so is, class by class, a group whose rate has an empty denominator, and a gap over fewer
  than two groups is NaN. ``convention="fairlearn"`` counts such a rate as 0 and gives a single
  group the difference 0, exactly as fairlearn does; the two agree whenever every group has rows of
  every class.
* A ratio whose largest rate is 0 is NaN, as in fairlearn. Where one of the two parts of equalized
  odds is NaN the other is used (fairlearn's ``min`` depends on their order); an audit says so, and
  passes no gate on it (`evaluation.audit.lacks`).
* **Equalized odds**: ``agg="worst_case"`` (fairlearn's default: the larger of the TPR and the FPR
  gap) or ``agg="mean"`` (FAIR-FATE's convention).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from evaluation.errors import InputError
from evaluation.rates import (
    Convention,
    CountArray,
    FloatArray,
    accuracy_by_group,
    false_positive_rate,
    pool_groups,
    ratio_or_nan,
    recall_by_cell,
    recall_by_class,
    selection_rate,
    true_positive_rate,
)

Across = Literal["macro", "worst"]
Agg = Literal["worst_case", "mean"]
Method = Literal["between_groups", "to_overall"]

METHOD_ERROR = "method must be 'between_groups' or 'to_overall', got {!r}"
AGG_ERROR = "agg must be 'worst_case' or 'mean', got {!r}"
ACROSS_ERROR = "across must be 'macro' or 'worst', got {!r}"


def demographic_parity_difference(
    counts: CountArray,
    *,
    across: Across = "macro",
    method: Method = "between_groups",
    convention: Convention = "exclude",
) -> FloatArray:
    """Largest difference of selection rates P(Ŷ = c | A) between groups.

    Parameters
    ----------
    counts : ndarray, shape (..., n_groups, n_classes, n_classes)
        Confusion counts.
    across : {"macro", "worst"}
        How more than two classes become one number (see the module).
    method : {"between_groups", "to_overall"}
        Largest difference between any two groups, or between a group and the pooled rate.
    convention : {"exclude", "fairlearn"}
        What an undefined rate counts as (see the module).

    Returns
    -------
    ndarray, shape (...)
        In [0, 1], 0 is fair; NaN when undefined.
    """
    rates, overall = selection_rate(counts), selection_rate(pool_groups(counts))
    return over_classes(rates_difference(rates, overall, method, convention), across, largest=True)


def demographic_parity_ratio(
    counts: CountArray,
    *,
    across: Across = "macro",
    method: Method = "between_groups",
    convention: Convention = "exclude",
) -> FloatArray:
    """Smallest over largest selection rate; in [0, 1], 1 is fair (parameters as above)."""
    rates, overall = selection_rate(counts), selection_rate(pool_groups(counts))
    return over_classes(rates_ratio(rates, overall, method, convention), across, largest=False)


def equal_opportunity_difference(
    counts: CountArray,
    *,
    across: Across = "macro",
    method: Method = "between_groups",
    convention: Convention = "exclude",
) -> FloatArray:
    """Largest difference of true positive rates P(Ŷ = c | Y = c, A); in [0, 1], 0 is fair."""
    gap = rates_difference(*_tpr(counts, convention), method, convention)
    return over_classes(gap, across, largest=True)


def equal_opportunity_ratio(
    counts: CountArray,
    *,
    across: Across = "macro",
    method: Method = "between_groups",
    convention: Convention = "exclude",
) -> FloatArray:
    """Smallest over largest true positive rate; in [0, 1], 1 is fair."""
    ratio = rates_ratio(*_tpr(counts, convention), method, convention)
    return over_classes(ratio, across, largest=False)


def equalized_odds_difference(
    counts: CountArray,
    *,
    agg: Agg = "worst_case",
    across: Across = "macro",
    method: Method = "between_groups",
    convention: Convention = "exclude",
) -> FloatArray:
    """Larger (``agg="worst_case"``) or mean (``agg="mean"``) of the TPR and the FPR difference.

    The aggregation happens per class, before ``across``. In [0, 1], 0 is fair; NaN when undefined.
    """
    tpr = rates_difference(*_tpr(counts, convention), method, convention)
    fpr = rates_difference(*_fpr(counts, convention), method, convention)
    return over_classes(joined_odds(tpr, fpr, agg, largest=True), across, largest=True)


def equalized_odds_ratio(
    counts: CountArray,
    *,
    agg: Agg = "worst_case",
    across: Across = "macro",
    method: Method = "between_groups",
    convention: Convention = "exclude",
) -> FloatArray:
    """Smaller (``agg="worst_case"``) or mean of the TPR and the FPR ratio; in [0, 1], 1 is fair."""
    tpr = rates_ratio(*_tpr(counts, convention), method, convention)
    fpr = rates_ratio(*_fpr(counts, convention), method, convention)
    return over_classes(joined_odds(tpr, fpr, agg, largest=False), across, largest=False)


def accuracy_difference(
    counts: CountArray, *, method: Method = "between_groups", convention: Convention = "exclude"
) -> FloatArray:
    """Largest difference of accuracy between groups; in [0, 1], 0 is fair."""
    by_group = accuracy_by_group(counts)[..., None]
    overall = accuracy_by_group(pool_groups(counts))[..., None]
    return rates_difference(by_group, overall, method, convention)[..., 0]


def worst_group_accuracy(counts: CountArray) -> FloatArray:
    """Accuracy of the group with the lowest accuracy; groups without rows are left out."""
    return skipping_nan("min", accuracy_by_group(counts), -1)


def worst_class_recall(counts: CountArray) -> FloatArray:
    """Recall of the class with the lowest recall, groups pooled; classes without rows left out."""
    return skipping_nan("min", recall_by_class(counts), -1)


def worst_cell_recall(counts: CountArray) -> FloatArray:
    """Recall of the class-by-group cell with the lowest recall; cells without rows are left out."""
    cells = recall_by_cell(counts)
    return skipping_nan("min", cells.reshape(*cells.shape[:-2], -1), -1)


def _tpr(counts: CountArray, convention: Convention) -> tuple[FloatArray, FloatArray]:
    pooled = pool_groups(counts)
    return true_positive_rate(counts, convention), true_positive_rate(pooled, convention)


def _fpr(counts: CountArray, convention: Convention) -> tuple[FloatArray, FloatArray]:
    pooled = pool_groups(counts)
    return false_positive_rate(counts, convention), false_positive_rate(pooled, convention)


def _measured(rates: FloatArray, convention: Convention) -> FloatArray:
    """Keep the positive class of two, and hide gaps over fewer than two groups."""
    if rates.shape[-1] == 2:
        rates = rates[..., 1:]
    if convention == "fairlearn":
        return rates
    enough = (~np.isnan(rates)).sum(axis=-2, keepdims=True) >= 2
    return rates if enough.all() else np.where(enough, rates, np.nan)


def rates_difference(
    rates: FloatArray, overall: FloatArray, method: Method, convention: Convention
) -> FloatArray:
    """Difference over the groups of any rates, class by class.

    Parameters
    ----------
    rates : ndarray, shape (..., n_groups, n)
        Rates of a group and class; of two classes only the last is used.
    overall : ndarray, shape (..., 1, n)
        Rates of everyone, for ``method="to_overall"``.
    method, convention
        See the module.

    Returns
    -------
    ndarray, shape (..., n)
    """
    rates = _measured(rates, convention)
    if method == "between_groups":
        return skipping_nan("max", rates, -2) - skipping_nan("min", rates, -2)
    if method == "to_overall":
        return skipping_nan("max", np.abs(rates - _positive(overall)), -2)
    raise InputError(METHOD_ERROR.format(method))


def rates_ratio(
    rates: FloatArray, overall: FloatArray, method: Method, convention: Convention
) -> FloatArray:
    """Ratio over the groups of any rates, class by class; parameters as in `rates_difference`."""
    rates = _measured(rates, convention)
    if method == "between_groups":
        return ratio_or_nan(skipping_nan("min", rates, -2), skipping_nan("max", rates, -2))
    if method == "to_overall":
        pooled = _positive(overall)
        low, high = np.minimum(rates, pooled), np.maximum(rates, pooled)
        return skipping_nan("min", ratio_or_nan(low, high), -2)
    raise InputError(METHOD_ERROR.format(method))


def _positive(rates: FloatArray) -> FloatArray:
    return rates[..., 1:] if rates.shape[-1] == 2 else rates


def joined_odds(tpr: FloatArray, fpr: FloatArray, agg: Agg, *, largest: bool) -> FloatArray:
    """One number per class of the gaps in the true and the false positive rate (equalized odds)."""
    both = np.stack([tpr, fpr])
    if agg == "mean":
        return skipping_nan("mean", both, 0)
    if agg == "worst_case":
        return skipping_nan("max" if largest else "min", both, 0)
    raise InputError(AGG_ERROR.format(agg))


def over_classes(values: FloatArray, across: Across, *, largest: bool) -> FloatArray:
    """One number of those of the classes, along the last axis (see the module)."""
    if across == "macro":
        return skipping_nan("mean", values, -1)
    if across == "worst":
        return skipping_nan("max" if largest else "min", values, -1)
    raise InputError(ACROSS_ERROR.format(across))


def skipping_nan(how: Literal["min", "max", "mean"], values: FloatArray, axis: int) -> FloatArray:
    """Reduce over the defined values; NaN where none is."""
    if not np.isnan(values).any():  # the usual case, and twice as fast
        plain: Callable[..., Any] = getattr(np, how)
        return np.asarray(plain(values, axis=axis), dtype=np.float64)
    reduce: Callable[..., Any] = getattr(np, f"nan{how}")
    with warnings.catch_warnings():
        # "All-NaN slice" is an answer here (undefined), not an accident.
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(reduce(values, axis=axis), dtype=np.float64)


__all__ = [
    "accuracy_difference",
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equal_opportunity_difference",
    "equal_opportunity_ratio",
    "equalized_odds_difference",
    "equalized_odds_ratio",
    "joined_odds",
    "over_classes",
    "rates_difference",
    "rates_ratio",
    "skipping_nan",
    "worst_cell_recall",
    "worst_class_recall",
    "worst_group_accuracy",
]
