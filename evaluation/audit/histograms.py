"""Metrics of scores, computed from histograms.

A histogram is an array ``(..., 2, bins)``: rows that are not (0) and that are (1) of the scored
class, by bin of the score. Bin `b` of `B` covers ``[b/B, (b+1)/B)``, the last one also 1. Every
function is vectorised over leading axes and accepts rows or sums of weights.

A score is known up to its bin and stands for the bin's centre. Each metric therefore comes with a
bound: the value from the scores themselves is never further away. It is 0 for scores that are the
centres of bins, up to what a bin hides of the order of its rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.rates import FloatArray, ratio_or_nan

CALIBRATION_BINS = 15
"""Equal bins of the score within which calibration is judged (Guo et al. 2017)."""

Metric = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class ScoreKind:
    """A metric of scores: its names, its value and its binning error, both of histograms."""

    name: str
    title: str
    direction: Literal["higher", "lower", "none"]
    value: Metric
    error: Metric


def centres(bins: int) -> FloatArray:
    """Middle of every bin, shape ``(bins,)``, in (0, 1)."""
    return (np.arange(bins) + 0.5) / bins


def roc_auc(histogram: FloatArray) -> FloatArray:
    """Probability that a row of the class scores above one that is not, ties counting half.

    Shape ``(...)``, in [0, 1]; NaN where one of the two kinds has no rows.
    """
    negative, positive = _kinds(histogram)
    below = np.cumsum(negative, axis=-1) - negative
    won = (positive * (below + negative / 2)).sum(axis=-1)
    return ratio_or_nan(won, _pairs(histogram))


def roc_auc_error(histogram: FloatArray) -> FloatArray:
    """Half the probability that such a pair shares a bin: its order is unknown."""
    negative, positive = _kinds(histogram)
    return ratio_or_nan((positive * negative).sum(axis=-1) / 2, _pairs(histogram))


def average_precision(histogram: FloatArray) -> FloatArray:
    """Precision averaged over the rows of the class, each at its own score as threshold.

    Without interpolation, as scikit-learn has it; rows of one bin are ties. It depends on how
    frequent the class is, so groups of other base rates differ in it even where ranked alike.
    Shape ``(...)``, in [0, 1]; NaN without rows of the class.
    """
    negative, positive = _kinds(histogram)
    precise = _share(_from_top(positive), _from_top(negative))
    return ratio_or_nan((positive * precise).sum(axis=-1), positive.sum(axis=-1))


def average_precision_error(histogram: FloatArray) -> FloatArray:
    """Distance to the better or worse end that orders within the bins can reach.

    Best, the rows of the class tie at the top of their bin. Worst, they follow all others of the
    bin one by one; the sum of their precisions is at least ``p − c ln((t + p + c) / (t + c))``, its
    integral, with `p` such rows, `t` above the bin, and `c` others down to the bin's end.
    """
    negative, positive = _kinds(histogram)
    hits, alarms = _from_top(positive), _from_top(negative)
    best = positive * _share(hits, alarms - negative)
    start = hits - positive + alarms
    ratio = np.divide(positive, start, out=np.zeros_like(start), where=start > 0)
    worst = positive - alarms * np.log1p(ratio)
    tied = positive * _share(hits, alarms)
    up, down = (best - tied).sum(axis=-1), (tied - worst).sum(axis=-1)
    return ratio_or_nan(np.maximum(up, down), positive.sum(axis=-1))


def calibration_terms(histogram: FloatArray) -> FloatArray:
    """Mean score less observed rate of every calibration bin, times the bin's share of the rows.

    Shape ``(..., k)`` with ``k = min(15, bins)``; NaN without rows.
    """
    excess, into = _excess(histogram), _merging(histogram.shape[-1])
    return ratio_or_nan(excess @ into, _total(histogram)[..., None])


def calibration_error(histogram: FloatArray) -> FloatArray:
    """Expected calibration error over 15 equal bins of the score.

    Equation 3 of Guo et al. 2017 (arXiv:1706.04599); shape ``(...)``, in [0, 1]. Noise adds to it:
    a group of few rows shows a larger one than a large group that is calibrated as well.
    """
    return np.asarray(np.abs(calibration_terms(histogram)).sum(axis=-1), np.float64)


def calibration_error_error(histogram: FloatArray) -> FloatArray:
    """Half a bin, and what the rows can move whose bin lies across the edge of two of the 15."""
    bins = histogram.shape[-1]
    into, index = min(CALIBRATION_BINS, bins), np.arange(bins)
    across = index * into // bins != ((index + 1) * into - 1) // bins
    negative, positive = _kinds(histogram)
    centre = centres(bins)
    # What rows of the two kinds move is of opposite sign: one kind alone is the worst case.
    moved = (np.maximum(negative * centre, positive * (1 - centre)) * across).sum(axis=-1)
    return np.asarray(0.5 / bins + 2 * ratio_or_nan(moved, _total(histogram)))


def brier(histogram: FloatArray) -> FloatArray:
    """Mean squared distance between the score and 1 (of the class) or 0 (not); in [0, 1]."""
    centre = centres(histogram.shape[-1])
    negative, positive = _kinds(histogram)
    return ratio_or_nan(negative @ centre**2 + positive @ (1 - centre) ** 2, _total(histogram))


def brier_error(histogram: FloatArray) -> FloatArray:
    """With `h` half a bin and `d` a row's distance, the mean of ``2 h d + h²``."""
    bins = histogram.shape[-1]
    centre, half = centres(bins), 0.5 / bins
    negative, positive = _kinds(histogram)
    distance = ratio_or_nan(negative @ centre + positive @ (1 - centre), _total(histogram))
    return np.asarray(2 * half * distance + half**2)


def mean_score(histogram: FloatArray) -> FloatArray:
    """Mean of the score; in [0, 1], NaN without rows."""
    rows = histogram.sum(axis=-2)
    return ratio_or_nan(rows @ centres(histogram.shape[-1]), _total(histogram))


def mean_score_error(histogram: FloatArray) -> FloatArray:
    """Half a bin."""
    return np.where(_total(histogram) > 0, 0.5 / histogram.shape[-1], np.nan)


KINDS = (
    ScoreKind("roc_auc", "ROC AUC", "higher", roc_auc, roc_auc_error),
    ScoreKind(
        "average_precision",
        "Average precision",
        "higher",
        average_precision,
        average_precision_error,
    ),
    ScoreKind(
        "calibration_error",
        "Expected calibration error",
        "lower",
        calibration_error,
        calibration_error_error,
    ),
    ScoreKind("brier", "Brier score", "lower", brier, brier_error),
    ScoreKind("mean_score", "Mean score", "none", mean_score, mean_score_error),
)


def coarser(histogram: NDArray[np.generic], bins: int) -> NDArray[np.generic]:
    """Merge neighbouring bins, `bins` being a divisor of their number."""
    *lead, old = histogram.shape
    return np.asarray(histogram.reshape(*lead, bins, old // bins).sum(axis=-1))


def binned(histogram: FloatArray, bins: int) -> FloatArray:
    """Sums over `bins` equal parts of [0, 1] (the finer bins go where their centre lies)."""
    return np.asarray(histogram @ _merging(histogram.shape[-1], bins), np.float64)


def _kinds(histogram: FloatArray) -> tuple[FloatArray, FloatArray]:
    return histogram[..., 0, :], histogram[..., 1, :]


def _pairs(histogram: FloatArray) -> FloatArray:
    both = np.asarray(histogram.sum(axis=-1), np.float64)
    return np.asarray(both[..., 0] * both[..., 1])


def _total(histogram: FloatArray) -> FloatArray:
    return np.asarray(histogram.sum(axis=(-2, -1)), np.float64)


def _from_top(counts: FloatArray) -> FloatArray:
    """Rows in this bin and above."""
    return np.asarray(np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1], np.float64)


def _share(hits: FloatArray, alarms: FloatArray) -> FloatArray:
    """Precision; 0 where nothing is selected (it is then multiplied by no rows)."""
    selected = hits + alarms
    return np.divide(hits, selected, out=np.zeros_like(selected), where=selected > 0)


def _excess(histogram: FloatArray) -> FloatArray:
    """Sum of score less outcome, by bin."""
    negative, positive = _kinds(histogram)
    return np.asarray((negative + positive) * centres(histogram.shape[-1]) - positive, np.float64)


def _merging(bins: int, into: int = CALIBRATION_BINS) -> FloatArray:
    """Matrix ``(bins, min(into, bins))`` that adds every bin to the coarser one of its centre."""
    into, index = min(into, bins), np.arange(bins)
    matrix = np.zeros((bins, into))
    matrix[index, (2 * index + 1) * into // (2 * bins)] = 1.0
    return matrix
