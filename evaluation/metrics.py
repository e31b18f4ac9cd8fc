"""From rates of groups and classes to one number: differences, ratios, joined odds, worst cases.

Definitions are fairlearn's (Bird et al. 2020; Agarwal et al. 2018, arXiv:1803.02453; Hardt et al.
2016, arXiv:1610.02413). The rates are those of `evaluation.audit.metrics`, the gaps are listed in
`evaluation.audit.gaps`.

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
  passes no gate on it (`evaluation.audit.findings`).
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
    ratio_or_nan,
    recall_by_cell,
    recall_by_class,
)

Across = Literal["macro", "worst"]
Agg = Literal["worst_case", "mean"]
Method = Literal["between_groups", "to_overall"]

METHOD_ERROR = "method must be 'between_groups' or 'to_overall', got {!r}"
AGG_ERROR = "agg must be 'worst_case' or 'mean', got {!r}"
ACROSS_ERROR = "across must be 'macro' or 'worst', got {!r}"


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


def _measured(rates: FloatArray, convention: Convention) -> FloatArray:
    """Hide gaps over fewer than two groups."""
    if convention == "fairlearn":
        return rates
    enough = (~np.isnan(rates)).sum(axis=-2, keepdims=True) >= 2
    return rates if enough.all() else np.where(enough, rates, np.nan)


def rates_difference(
    rates: FloatArray, overall: FloatArray, method: Method, convention: Convention
) -> FloatArray:
    """Difference over the groups of any rates, class by class; shape ``(..., n)``.

    Rates have the shape ``(..., n_groups, n)``, those of everyone, for ``method="to_overall"``,
    ``(..., 1, n)``.
    """
    rates = _measured(rates, convention)
    if method == "between_groups":
        return skipping_nan("max", rates, -2) - skipping_nan("min", rates, -2)
    if method == "to_overall":
        return skipping_nan("max", np.abs(rates - overall), -2)
    raise InputError(METHOD_ERROR.format(method))


def rates_ratio(
    rates: FloatArray, overall: FloatArray, method: Method, convention: Convention
) -> FloatArray:
    """Ratio over the groups of any rates, class by class; parameters as in `rates_difference`."""
    rates = _measured(rates, convention)
    if method == "between_groups":
        return ratio_or_nan(skipping_nan("min", rates, -2), skipping_nan("max", rates, -2))
    if method == "to_overall":
        low, high = np.minimum(rates, overall), np.maximum(rates, overall)
        return skipping_nan("min", ratio_or_nan(low, high), -2)
    raise InputError(METHOD_ERROR.format(method))


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
