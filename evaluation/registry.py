"""The metrics by name, so that a configuration can choose one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from evaluation import metrics, rates
from evaluation.audit.gaps import GAPS
from evaluation.errors import InputError
from evaluation.metrics import Across
from evaluation.rates import CountArray, FloatArray

Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class Metric:
    """A named function of confusion counts.

    Parameters
    ----------
    name : str
        Key in `METRICS`.
    title : str
        Name in words.
    function : callable
        Counts ``(..., n_groups, n_classes, n_classes)`` to values ``(...)``, NaN when undefined.
    direction : {"higher", "lower"}
        Which is better.
    description : str
        Definition and convention, one or two sentences.
    """

    name: str
    title: str
    function: Callable[[CountArray], FloatArray]
    direction: Direction
    description: str

    def __call__(self, counts: CountArray) -> float:
        """Return the metric of one array ``(n_groups, n_classes, n_classes)``; NaN if undefined.

        Raises
        ------
        InputError
            If the array has batch axes; call ``function`` for a batch.
        """
        array = np.asarray(counts)
        if array.ndim != 3:
            raise InputError(
                f"{self.name}: counts have shape {array.shape}, expected (groups, classes, classes)"
            )
        return float(self.function(array))


def get_metric(name: str) -> Metric:
    """Return the metric of that name.

    Raises
    ------
    InputError
        If there is none; the message lists the names.
    """
    try:
        return METRICS[name]
    except KeyError:
        known = ", ".join(sorted(METRICS))
        raise InputError(f"unknown metric {name!r}; choose one of: {known}") from None


_WORDS = {
    "demographic_parity_difference":
        "Largest difference between groups in how often a class is predicted.",
    "demographic_parity_ratio":
        "Smallest over largest rate at which a class is predicted, over groups.",
    "equal_opportunity_difference":
        "Largest difference between groups in the true positive rate (recall).",
    "equal_opportunity_ratio":
        "Smallest over largest true positive rate (recall), over groups.",
    "equalized_odds_difference":
        "The larger of the true and the false positive rate difference between groups "
        "(fairlearn's worst_case).",
    "equalized_odds_ratio":
        "The smaller of the true and the false positive rate ratio (fairlearn's worst_case).",
    "equalized_odds_difference_mean":
        "The mean of the true and the false positive rate difference (agg=mean).",
    "equalized_odds_ratio_mean":
        "The mean of the true and the false positive rate ratio (agg=mean).",
}  # fmt: skip
_ACROSS: tuple[tuple[Across, str, str, str], ...] = (
    ("macro", "", "", "mean over the classes"),
    ("worst", "_worst", ", worst class", "worst class"),
)


def _gaps() -> list[Metric]:
    """Every gap twice: mean over classes, and worst class."""
    return [
        Metric(
            name + suffix,
            GAPS[name].title + label,
            partial(GAPS[name].of_counts, across=across),
            "lower" if GAPS[name].kind == "difference" else "higher",
            f"{words} With more than two classes: one-vs-rest, {joined}. The positive class of two "
            "is the last.",
        )
        for name, words in _WORDS.items()
        for across, suffix, label, joined in _ACROSS
    ]


def _simple() -> list[Metric]:
    return [
        Metric("accuracy", "Accuracy", rates.accuracy, "higher",
               "Share of rows predicted right, groups pooled."),
        Metric("accuracy_difference", "Accuracy difference", GAPS["accuracy_difference"].of_counts,
               "lower", "Largest difference of accuracy between groups."),
        Metric("worst_group_accuracy", "Worst-group accuracy", metrics.worst_group_accuracy,
               "higher", "Accuracy of the group with the lowest accuracy."),
        Metric("worst_class_recall", "Worst-class recall", metrics.worst_class_recall, "higher",
               "Recall of the class with the lowest recall, groups pooled."),
        Metric("worst_cell_recall", "Worst-cell recall", metrics.worst_cell_recall, "higher",
               "Recall of the class x group cell with the lowest recall."),
    ]  # fmt: skip


METRICS: dict[str, Metric] = {metric.name: metric for metric in (*_simple(), *_gaps())}
