"""Metrics of scores, computed from histograms.

A histogram is an array ``(..., 2, k)``: rows that are not (0) and that are (1) of the scored class,
by cell of a `Grid` of the scores. Every function is vectorised over leading axes and accepts rows
or sums of weights; cells without rows change nothing.

A score is known up to its cell and stands for the cell's centre. Each metric therefore comes with a
bound: the value from the scores themselves is never further away. It is 0 where every cell is one
score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.grid import Grid
from evaluation.rates import FloatArray, ratio_or_nan

CALIBRATION_BINS = 15
"""Equal bins of the score within which calibration is judged (Guo et al. 2017)."""

Metric = Callable[[FloatArray, Grid], FloatArray]


@dataclass(frozen=True)
class ScoreKind:
    """A metric of scores: its names, its value and its binning error, both of histograms."""

    name: str
    title: str
    direction: Literal["higher", "lower", "none"]
    value: Metric
    error: Metric


def roc_auc(histogram: FloatArray, grid: Grid) -> FloatArray:
    """Probability that a row of the class scores above one that is not, ties counting half.

    Shape ``(...)``, in [0, 1]; NaN where one of the two kinds has no rows.
    """
    negative, positive = _kinds(histogram)
    below = np.cumsum(negative, axis=-1) - negative
    won = (positive * (below + negative / 2)).sum(axis=-1)
    return ratio_or_nan(won, _pairs(histogram))


def roc_auc_error(histogram: FloatArray, grid: Grid) -> FloatArray:
    """Half the probability that such a pair shares a cell of several scores: its order is unknown.

    Shape ``(...)``, as of all errors here.
    """
    negative, positive = _kinds(histogram)
    return ratio_or_nan((positive * negative * grid.wide).sum(axis=-1) / 2, _pairs(histogram))


def average_precision(histogram: FloatArray, grid: Grid) -> FloatArray:
    """Precision averaged over the rows of the class, each at its own score as threshold.

    Without interpolation, as scikit-learn has it; rows of one cell are ties. It depends on how
    frequent the class is, so groups of other base rates differ in it even where ranked alike.
    Shape ``(...)``, in [0, 1]; NaN without rows of the class.
    """
    negative, positive = _kinds(histogram)
    precise = _share(_from_top(positive), _from_top(negative))
    return ratio_or_nan((positive * precise).sum(axis=-1), positive.sum(axis=-1))


def average_precision_error(histogram: FloatArray, grid: Grid) -> FloatArray:
    """Distance to the better or worse end that orders within the cells can reach.

    Best, the rows of the class tie at the top of their cell. Worst, they follow all others of the
    cell one by one; the sum of their precisions is at least ``p − c ln((t + p + c) / (t + c))``,
    its integral, with `p` such rows, `t` above the cell, and `c` others down to the cell's end.
    """
    negative, positive = _kinds(histogram)
    hits, alarms = _from_top(positive), _from_top(negative)
    best = positive * _share(hits, alarms - negative)
    start = hits - positive + alarms
    ratio = np.divide(positive, start, out=np.zeros_like(start), where=start > 0)
    worst = positive - alarms * np.log1p(ratio)
    tied = positive * _share(hits, alarms)
    up = ((best - tied) * grid.wide).sum(axis=-1)
    down = ((tied - worst) * grid.wide).sum(axis=-1)
    return ratio_or_nan(np.maximum(up, down), positive.sum(axis=-1))


def calibration_terms(histogram: FloatArray, grid: Grid) -> FloatArray:
    """Mean score less observed rate of every calibration bin, times the bin's share of the rows.

    Shape ``(..., 15)``; NaN without rows.
    """
    negative, positive = _kinds(histogram)
    excess = (negative + positive) * grid.centre - positive
    return ratio_or_nan(binned(excess, grid.centre, CALIBRATION_BINS), _total(histogram)[..., None])


def calibration_error(histogram: FloatArray, grid: Grid) -> FloatArray:
    """Expected calibration error over 15 equal bins of the score.

    Equation 3 of Guo et al. 2017 (arXiv:1706.04599); shape ``(...)``, in [0, 1]. Noise adds to it:
    a group of few rows shows a larger one than a large group that is calibrated as well.
    """
    return np.asarray(np.abs(calibration_terms(histogram, grid)).sum(axis=-1), np.float64)


def calibration_error_error(histogram: FloatArray, grid: Grid) -> FloatArray:
    """Half a cell, and what the rows can move whose cell lies across the edge of two of the 15."""
    across = place(grid.low, CALIBRATION_BINS) != place(grid.high, CALIBRATION_BINS)
    negative, positive = _kinds(histogram)
    # What rows of the two kinds move is of opposite sign: one kind alone is the worst case.
    most = np.maximum(negative * grid.centre, positive * (1 - grid.centre))
    moved = (most * across).sum(axis=-1)
    return mean_score_error(histogram, grid) + 2 * ratio_or_nan(moved, _total(histogram))


def brier(histogram: FloatArray, grid: Grid) -> FloatArray:
    """Mean squared distance between the score and 1 (of the class) or 0 (not); in [0, 1]."""
    negative, positive = _kinds(histogram)
    squares = negative @ grid.centre**2 + positive @ (1 - grid.centre) ** 2
    return ratio_or_nan(squares, _total(histogram))


def brier_error(histogram: FloatArray, grid: Grid) -> FloatArray:
    """With `h` half a cell and `d` a row's distance, the mean of ``2 h d + h²``."""
    negative, positive = _kinds(histogram)
    centre, half = grid.centre, grid.half
    low, high = half * (2 * centre + half), half * (2 * (1 - centre) + half)
    return ratio_or_nan(negative @ low + positive @ high, _total(histogram))


def mean_score(histogram: FloatArray, grid: Grid) -> FloatArray:
    """Mean of the score; in [0, 1], NaN without rows."""
    return ratio_or_nan(histogram.sum(axis=-2) @ grid.centre, _total(histogram))


def mean_score_error(histogram: FloatArray, grid: Grid) -> FloatArray:
    """Mean of half a cell."""
    return ratio_or_nan(histogram.sum(axis=-2) @ grid.half, _total(histogram))


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


def place(scores: FloatArray, bins: int) -> NDArray[np.int64]:
    """Index of the one of equal bins of [0, 1] that each score lies in; see `equal_bins`."""
    return np.minimum((scores * bins).astype(np.int64), bins - 1)


def binned(values: FloatArray, scores: FloatArray, bins: int) -> FloatArray:
    """Sums ``(..., bins)`` over equal bins of values ``(..., k)`` that stand at `k` scores."""
    into = np.zeros((len(scores), bins))
    into[np.arange(len(scores)), place(scores, bins)] = 1.0
    return np.asarray(values @ into, np.float64)


def _kinds(histogram: FloatArray) -> tuple[FloatArray, FloatArray]:
    return histogram[..., 0, :], histogram[..., 1, :]


def _pairs(histogram: FloatArray) -> FloatArray:
    both = np.asarray(histogram.sum(axis=-1), np.float64)
    return np.asarray(both[..., 0] * both[..., 1])


def _total(histogram: FloatArray) -> FloatArray:
    return np.asarray(histogram.sum(axis=(-2, -1)), np.float64)


def _from_top(counts: FloatArray) -> FloatArray:
    """Rows in this cell and above."""
    return np.asarray(np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1], np.float64)


def _share(hits: FloatArray, alarms: FloatArray) -> FloatArray:
    """Precision; 0 where nothing is selected (it is then multiplied by no rows)."""
    selected = hits + alarms
    return np.divide(hits, selected, out=np.zeros_like(selected), where=selected > 0)
