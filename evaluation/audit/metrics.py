"""The metrics by group: fairlearn's, as functions of confusion counts.

Counts have shape ``(..., groups, true, predicted)``; weighted rows give sums of weights instead. A
metric gives ``(..., groups, classes)``: of two classes only the positive one (the last), of more
each against the rest. Accuracy and balanced accuracy give one number whatever the classes.

Names are fairlearn's, without ``_score``; its ``mean_prediction`` is `selection_rate` where classes
are 0 and 1, its ``recall_score`` is `true_positive_rate`. An empty denominator gives NaN
(``"exclude"``), or with ``"fairlearn"`` what fairlearn and scikit-learn make of it: 0 for a group
with rows (it never sees others), and for their macro averages of precision and F1 nothing for a
class that a group neither has nor predicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import InputError
from evaluation.metrics import Across, over_classes, skipping_nan
from evaluation.rates import (
    Convention,
    FloatArray,
    check_counts,
    confusion_cell,
    ratio_or_nan,
    recall_by_cell,
)

Direction = Literal["higher", "lower", "none"]
Parts = tuple[FloatArray, FloatArray]
AnyMetric = TypeVar("AnyMetric")

CONVENTION_ERROR = "convention must be 'exclude' or 'fairlearn', got {!r}"


@dataclass(frozen=True)
class ByGroup:
    """One metric by group."""

    name: str  # key in `BY_GROUP`
    title: str
    direction: Direction  # which is better; none where only equality is judged
    # counts to numerator and denominator ``(..., groups, classes)``
    parts: Callable[[NDArray[Any]], Parts]
    proportion: bool = True  # a share of rows: the denominator is a number of rows
    macro: bool = False  # fairlearn leaves its average over classes to scikit-learn

    def values(self, counts: NDArray[Any], convention: Convention = "exclude") -> FloatArray:
        """Return the metric of counts ``(..., groups, C, C)``, shape ``(..., groups, classes)``."""
        rates = ratio_or_nan(*self.parts(counts))
        if convention == "exclude":
            return rates
        if convention != "fairlearn":
            raise InputError(CONVENTION_ERROR.format(convention))
        array = check_counts(counts)
        seen = array.sum(axis=(-2, -1))[..., None] > 0
        if self.macro and array.shape[-1] > 2:
            seen = (array.sum(axis=-1) + array.sum(axis=-2)) > 0
        return np.where(seen & np.isnan(rates), 0.0, rates)

    def joined(self, values: FloatArray, across: Across) -> FloatArray:
        """One number of those of the classes; the worst class is the highest without direction."""
        return over_classes(values, across, largest=self.direction != "higher")


def _share(part: str, whole: str) -> Callable[[NDArray[Any]], Parts]:
    def parts(counts: NDArray[Any]) -> Parts:
        array = check_counts(counts)
        cells = {name: confusion_cell(array, name) for name in {*part.split(), *whole.split()}}
        if array.shape[-1] == 2:  # of two classes only the last
            cells = {name: cell[..., 1:] for name, cell in cells.items()}
        above = sum((cells[name] for name in part.split()), np.float64(0))
        below = sum((cells[name] for name in whole.split()), np.float64(0))
        return np.asarray(above), np.asarray(below)

    return parts


def _right(counts: NDArray[Any]) -> Parts:
    array = check_counts(counts)
    hits = np.trace(array, axis1=-2, axis2=-1)[..., None]
    return hits, array.sum(axis=(-2, -1))[..., None]


def _wrong(counts: NDArray[Any]) -> Parts:
    missed = confusion_cell(check_counts(counts), "fn")
    return missed.sum(axis=-1, keepdims=True), _right(counts)[1]


def _balanced(counts: NDArray[Any]) -> Parts:
    mean = skipping_nan("mean", recall_by_cell(counts), -1)[..., None]
    return np.nan_to_num(mean), (~np.isnan(mean)).astype(np.float64)


def recall_parts(counts: NDArray[Any]) -> Parts:
    """Rows predicted right and all rows, of every class: ``(..., groups, C)``, also of two."""
    array = check_counts(counts)
    return np.diagonal(array, axis1=-2, axis2=-1), array.sum(axis=-1)


jaccard_parts = _share("tp", "tp fp fn")
"""Numerator and denominator of Jaccard's index of each class against the rest."""


def f1_of_jaccard(jaccard: FloatArray) -> FloatArray:
    """F1 of Jaccard's index; below 0, where only sampling errors lead, along its tangent."""
    return np.where(jaccard < 0, 2 * jaccard, 2 * jaccard / (1 + np.maximum(jaccard, 0)))


def jaccard_of_f1(f1: FloatArray) -> FloatArray:
    """Jaccard's index of F1."""
    return f1 / (2 - f1)


_ALL = "tp fp fn tn"
_TABLE = (
    ByGroup("accuracy", "Accuracy", "higher", _right),
    ByGroup("zero_one_loss", "Error rate", "lower", _wrong),
    ByGroup("balanced_accuracy", "Balanced accuracy", "higher", _balanced, proportion=False),
    ByGroup("selection_rate", "Selection rate", "none", _share("tp fp", _ALL)),
    ByGroup("base_rate", "Base rate", "none", _share("tp fn", _ALL)),
    ByGroup("true_positive_rate", "True positive rate (recall)", "higher", _share("tp", "tp fn")),
    ByGroup("true_negative_rate", "True negative rate", "higher", _share("tn", "tn fp")),
    ByGroup("false_positive_rate", "False positive rate", "lower", _share("fp", "fp tn")),
    ByGroup("false_negative_rate", "False negative rate", "lower", _share("fn", "fn tp")),
    ByGroup("precision", "Precision", "higher", _share("tp", "tp fp"), macro=True),
    ByGroup("false_discovery_rate", "False discovery rate", "lower", _share("fp", "tp fp")),
    ByGroup("false_omission_rate", "False omission rate", "lower", _share("fn", "fn tn")),
    ByGroup("f1", "F1", "higher", _share("tp tp", "tp tp fp fn"), proportion=False, macro=True),
)

BY_GROUP: dict[str, ByGroup] = {metric.name: metric for metric in _TABLE}
"""The metrics by group of classification; `evaluation.audit.regression` has its own."""

COMPLEMENTS = {
    "zero_one_loss": "accuracy",
    "false_negative_rate": "true_positive_rate",
    "true_negative_rate": "false_positive_rate",
    "false_discovery_rate": "precision",
}
"""Metrics that are one less another: what is said of the one holds for the other."""

ALIASES = {
    "accuracy_score": "accuracy",
    "balanced_accuracy_score": "balanced_accuracy",
    "f1_score": "f1",
    "mean_prediction": "selection_rate",
    "precision_score": "precision",
    "prevalence": "base_rate",
    "recall": "true_positive_rate",
    "recall_score": "true_positive_rate",
    "error_rate": "zero_one_loss",
}
"""Other names of the same metrics, fairlearn's among them."""


def says_nothing(metric: str, classes: int, across: Across) -> bool:
    """Whether it is a mean over classes of shares that add up to 1."""
    return metric in ("selection_rate", "base_rate") and classes > 2 and across == "macro"


def chosen(names: tuple[str, ...]) -> tuple[ByGroup, ...]:
    """The metrics by group of these names; see `chosen_from`."""
    return chosen_from(BY_GROUP, [ALIASES.get(name, name) for name in names], "by group")


def chosen_from(
    table: Mapping[str, AnyMetric], names: Iterable[str], kind: str
) -> tuple[AnyMetric, ...]:
    """The metrics of these names, once each; all of them for none."""
    wanted = dict.fromkeys(names) or table
    for name in wanted:
        if name not in table:
            raise InputError(f"no metric {kind} {name!r}; choose from: {', '.join(table)}")
    return tuple(table[name] for name in wanted)
