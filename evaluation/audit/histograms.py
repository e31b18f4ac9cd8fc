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
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.rates import FloatArray, ratio_or_nan

CALIBRATION_BINS = 15
"""Equal bins of the score within which calibration is judged (Guo et al. 2017)."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells of [0, 1], in order and without overlap."""

    low: FloatArray  # least score of each cell
    high: FloatArray  # largest one: equal where it is one score

    def __len__(self) -> int:
        return len(self.low)

    @property
    def centre(self) -> FloatArray:
        """What a row of the cell counts as."""
        return (self.low + self.high) / 2

    @property
    def half(self) -> FloatArray:
        """How far a score may lie from it."""
        return (self.high - self.low) / 2

    @property
    def wide(self) -> NDArray[np.bool_]:
        """Cells that hold several scores."""
        return self.high > self.low

    def take(self, cells: NDArray[np.int64]) -> Grid:
        """Some of the cells."""
        return Grid(self.low[cells], self.high[cells])


def equal_bins(bins: int) -> Grid:
    """Bin `b` of `B` covers ``[b/B, (b+1)/B)``, the last one also 1."""
    edges = np.arange(bins + 1) / bins
    high = np.nextafter(edges[1:], 0)
    high[-1] = 1.0
    return Grid(edges[:-1], high)


def points(scores: FloatArray) -> Grid:
    """Cells of one score each."""
    return Grid(scores, scores)


@dataclass(frozen=True, eq=False)
class Sums:
    """A histogram with the sums that several metrics are made of, each taken once."""

    histogram: FloatArray
    grid: Grid

    @property
    def negative(self) -> FloatArray:
        """Rows that are not of the class."""
        return self.histogram[..., 0, :]

    @property
    def positive(self) -> FloatArray:
        """Rows of the class."""
        return self.histogram[..., 1, :]

    @cached_property
    def both(self) -> FloatArray:
        """Rows of either kind."""
        return self.negative + self.positive

    @cached_property
    def kinds(self) -> FloatArray:
        """How many there are of each kind, shape ``(..., 2)``."""
        return np.asarray(self.histogram.sum(axis=-1), np.float64)

    @property
    def total(self) -> FloatArray:
        """Rows, shape ``(...)``."""
        return np.asarray(self.kinds.sum(axis=-1))

    @property
    def pairs(self) -> FloatArray:
        """Pairs of one row of each kind, shape ``(...)``."""
        return np.asarray(self.kinds[..., 0] * self.kinds[..., 1])

    @cached_property
    def from_top(self) -> FloatArray:
        """Rows of each kind in this cell and above, shape ``(..., 2, k)``."""
        falling = self.histogram[..., ::-1]
        return np.asarray(np.cumsum(falling, axis=-1, dtype=np.float64)[..., ::-1])

    @cached_property
    def terms(self) -> FloatArray:
        """Mean score less observed rate of every calibration bin, times the bin's share of rows.

        Shape ``(..., 15)``; NaN without rows.
        """
        excess = self.both * self.grid.centre - self.positive
        found = binned(excess, self.grid.centre, CALIBRATION_BINS)
        return ratio_or_nan(found, self.total[..., None])


Metric = Callable[[Sums], FloatArray]


@dataclass(frozen=True)
class ScoreKind:
    """A metric of scores: its names, its value, and how far that of the scores may be away."""

    name: str
    title: str
    direction: Literal["higher", "lower", "none"]
    of: Metric
    error_of: Metric


def roc_auc(sums: Sums) -> FloatArray:
    """Probability that a row of the class scores above one that is not, ties counting half.

    Shape ``(...)``, in [0, 1]; NaN where one of the two kinds has no rows.
    """
    alarms = sums.from_top[..., 0, :]
    below = alarms[..., :1] - alarms
    won = (sums.positive * (below + sums.negative / 2)).sum(axis=-1)
    return ratio_or_nan(won, sums.pairs)


def roc_auc_error(sums: Sums) -> FloatArray:
    """Half the probability that such a pair shares a cell of several scores: its order is unknown.

    Shape ``(...)``, as of all errors here.
    """
    tied = sums.positive * sums.negative * sums.grid.wide
    return ratio_or_nan(tied.sum(axis=-1) / 2, sums.pairs)


def average_precision(sums: Sums) -> FloatArray:
    """Precision averaged over the rows of the class, each at its own score as threshold.

    Without interpolation, as scikit-learn has it; rows of one cell are ties. It depends on how
    frequent the class is, so groups of other base rates differ in it even where ranked alike.
    Shape ``(...)``, in [0, 1]; NaN without rows of the class.
    """
    precise = _share(sums.from_top[..., 1, :], sums.from_top[..., 0, :])
    return ratio_or_nan((sums.positive * precise).sum(axis=-1), sums.kinds[..., 1])


def average_precision_error(sums: Sums) -> FloatArray:
    """Distance to the better or worse end that orders within the cells can reach.

    Best, the rows of the class tie at the top of their cell. Worst, they follow all others of the
    cell one by one; the sum of their precisions is at least ``p − c ln((t + p + c) / (t + c))``,
    its integral, with `p` such rows, `t` above the cell, and `c` others down to the cell's end.
    """
    negative, positive = sums.negative, sums.positive
    alarms, hits = sums.from_top[..., 0, :], sums.from_top[..., 1, :]
    best = positive * _share(hits, alarms - negative)
    start = hits - positive + alarms
    ratio = np.divide(positive, start, out=np.zeros_like(start), where=start > 0)
    worst = positive - alarms * np.log1p(ratio)
    tied = positive * _share(hits, alarms)
    up = ((best - tied) * sums.grid.wide).sum(axis=-1)
    down = ((tied - worst) * sums.grid.wide).sum(axis=-1)
    return ratio_or_nan(np.maximum(up, down), sums.kinds[..., 1])


def calibration_error(sums: Sums) -> FloatArray:
    """Expected calibration error over 15 equal bins of the score.

    Equation 3 of Guo et al. 2017 (arXiv:1706.04599); shape ``(...)``, in [0, 1]. Noise adds to it:
    a group of few rows shows a larger one than a large group that is calibrated as well.
    """
    return np.asarray(np.abs(sums.terms).sum(axis=-1), np.float64)


def calibration_error_error(sums: Sums) -> FloatArray:
    """Half a cell, and what the rows can move whose cell lies across the edge of two of the 15."""
    centre = sums.grid.centre
    across = place(sums.grid.low, CALIBRATION_BINS) != place(sums.grid.high, CALIBRATION_BINS)
    # What rows of the two kinds move is of opposite sign: one kind alone is the worst case.
    most = np.maximum(sums.negative * centre, sums.positive * (1 - centre))
    moved = (most * across).sum(axis=-1)
    return mean_score_error(sums) + 2 * ratio_or_nan(moved, sums.total)


def brier(sums: Sums) -> FloatArray:
    """Mean squared distance between the score and 1 (of the class) or 0 (not); in [0, 1]."""
    centre = sums.grid.centre
    squares = sums.negative @ centre**2 + sums.positive @ (1 - centre) ** 2
    return ratio_or_nan(squares, sums.total)


def brier_error(sums: Sums) -> FloatArray:
    """With `h` half a cell and `d` a row's distance, the mean of ``2 h d + h²``."""
    centre, half = sums.grid.centre, sums.grid.half
    low, high = half * (2 * centre + half), half * (2 * (1 - centre) + half)
    return ratio_or_nan(sums.negative @ low + sums.positive @ high, sums.total)


def mean_score(sums: Sums) -> FloatArray:
    """Mean of the score; in [0, 1], NaN without rows."""
    return ratio_or_nan(sums.both @ sums.grid.centre, sums.total)


def mean_score_error(sums: Sums) -> FloatArray:
    """Mean of half a cell."""
    return ratio_or_nan(sums.both @ sums.grid.half, sums.total)


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


def _share(hits: FloatArray, alarms: FloatArray) -> FloatArray:
    """Precision; 0 where nothing is selected (it is then multiplied by no rows)."""
    # Where nothing is selected there are no hits either.
    return np.asarray(hits / np.maximum(hits + alarms, np.finfo(np.float64).tiny))
