"""What thresholds can reach: hulls of ROC points, and the linear program behind the frontier.

The program's variables are the share with which every group uses each corner of its hull, the
lowest allowed value of each rate, and how far each group's rate lies above it (at most the gap).
Accuracy and rates are linear in the shares, so the optimum is exact, up to the solver's tolerance
of 1e-7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.histograms import Grid
from evaluation.audit.labels import simplest
from evaluation.audit.outcome import FrontierPoint
from evaluation.rates import FloatArray

MOST = 0.9
"""Share of the points that stay, beyond which leaving out more is not worth another look."""


@dataclass(frozen=True, eq=False)
class Hull:
    """Corners of the upper convex hull, from selecting nobody to selecting everybody.

    A mix of thresholds, each used for a share of the rows drawn at random, reaches every point
    between its corners. Points below the hull are reached by mixing with "nobody" and "everybody".
    """

    thresholds: FloatArray  # falling; a row is selected when its score is at least that
    alarms: FloatArray  # selected rows that are not of the class
    hits: FloatArray  # selected rows of the class

    @property
    def negatives(self) -> float:
        """Rows that are not of the class."""
        return float(self.alarms[-1])

    @property
    def positives(self) -> float:
        """Rows of the class."""
        return float(self.hits[-1])


NOBODY = 1 + 2.0**-10
"""A threshold that no score reaches."""


def roc_hull(histogram: FloatArray, grid: Grid) -> Hull:
    """Hull of the thresholds between the cells of scores.

    `histogram`, ``(2, k)``, are rows that are not (0) and that are (1) of the class. Thresholds of
    several digits give way to shorter ones that select the same rows.
    """
    held = np.flatnonzero(histogram.any(axis=0))[::-1]
    # From the threshold above all scores to the least score of all.
    alarms, hits = (np.concatenate([[0.0], np.cumsum(own[held])]) for own in histogram)
    corners = _upper(alarms, hits)
    below = [*grid.high[held[1:]], -1.0]
    thresholds = [
        simplest(float(below[i - 1]), float(grid.low[held[i - 1]])) if i else NOBODY
        for i in corners
    ]
    return Hull(np.array(thresholds), alarms[corners], hits[corners])


def _upper(x: FloatArray, y: FloatArray) -> NDArray[np.int64]:
    """Corners of the upper hull of points that never fall (Andrew 1979, the monotone chain)."""
    kept: list[int] = []
    for i in _candidates(x, y):
        while len(kept) >= 2:
            a, b = kept[-2], kept[-1]
            if _above(x, y, a, b, i):
                break
            kept.pop()
        kept.append(i)
    return np.array(kept, np.int64)


def _candidates(x: FloatArray, y: FloatArray) -> list[int]:
    """The points without most of those that lie below others: it spares the chain a long way."""
    kept = np.arange(len(x))
    while len(kept) > 2:
        corner = _above(x, y, kept[:-2], kept[1:-1], kept[2:])
        if corner.mean() > MOST:
            break
        kept = kept[np.concatenate([[True], corner, [True]])]
    return [int(i) for i in kept]


def _above(x: FloatArray, y: FloatArray, a: Any, b: Any, c: Any) -> Any:
    """Whether point `b` lies above the line from `a` to `c`."""
    return (y[b] - y[a]) * (x[c] - x[a]) > (y[c] - y[a]) * (x[b] - x[a])


Rate = Literal["selection", "true_positive", "false_positive"]

NEGLIGIBLE = 1e-9
"""Shares below this are the solver's rounding."""


def best_points(
    hulls: Sequence[Hull], rates: Sequence[Rate], gaps: Sequence[float]
) -> tuple[FrontierPoint, ...]:
    """Best accuracy within each gap in [0, 1], and the thresholds that reach it.

    `rates` must lie within an interval of the gap's width, over the groups. A group without rows
    of a rate's denominator has no such rate and is free of that constraint.
    """
    from scipy.optimize import linprog

    rows = sum(hull.positives + hull.negatives for hull in hulls)
    gain = np.concatenate([hull.hits - hull.alarms for hull in hulls]) / rows
    rejected = sum(hull.negatives for hull in hulls) / rows
    matrix, slacks = _equations(hulls, rates)
    right = np.concatenate([np.ones(len(hulls)), np.zeros(slacks)])
    cost = np.concatenate([-gain, np.zeros(slacks + len(rates))])
    points = []
    for gap in gaps:
        bounds = [(0, None)] * len(gain) + [(0, gap)] * slacks + [(0, 1)] * len(rates)
        # The simplex method ends in a corner: few thresholds per group.
        found = linprog(cost, A_eq=matrix, b_eq=right, bounds=bounds, method="highs-ds")
        if not found.success:
            raise RuntimeError(f"the thresholds for a gap of {gap} were not found: {found.message}")
        shares = np.asarray(found.x[: len(gain)], np.float64)
        accuracy = float(rejected + gain @ shares)
        points.append(FrontierPoint(float(gap), accuracy, _thresholds(hulls, shares)))
    return tuple(points)


def _equations(hulls: Sequence[Hull], rates: Sequence[Rate]) -> tuple[Any, int]:
    """Sparse matrix of the equations, and the number of slacks.

    Every group's shares add to 1; for every rate and group that has it, the rate equals the lowest
    allowed value plus a slack.
    """
    from scipy.sparse import coo_array

    starts = np.cumsum([0, *(len(hull.hits) for hull in hulls)])
    cells: list[tuple[int, int, float]] = []
    for g in range(len(hulls)):
        cells += [(g, column, 1.0) for column in range(starts[g], starts[g + 1])]
    reached = [
        (i, g, _rate(hull, rate)) for i, rate in enumerate(rates) for g, hull in enumerate(hulls)
    ]
    held = [(i, g, values) for i, g, values in reached if not np.isnan(values).any()]
    for slack, (i, g, values) in enumerate(held):
        row = len(hulls) + slack
        cells += [(row, starts[g] + k, value) for k, value in enumerate(values)]
        cells += [(row, starts[-1] + slack, -1.0), (row, starts[-1] + len(held) + i, -1.0)]
    rows, columns, entries = (np.array(part) for part in zip(*cells, strict=True))
    shape = len(hulls) + len(held), int(starts[-1]) + len(held) + len(rates)
    return coo_array((entries, (rows, columns)), shape=shape).tocsr(), len(held)


def _rate(hull: Hull, rate: Rate) -> FloatArray:
    """The rate at every corner of a hull; NaN where it has no denominator."""
    of: dict[Rate, tuple[FloatArray, float]] = {
        "selection": (hull.hits + hull.alarms, hull.positives + hull.negatives),
        "true_positive": (hull.hits, hull.positives),
        "false_positive": (hull.alarms, hull.negatives),
    }
    selected, total = of[rate]
    return selected / total if total > 0 else np.full(len(selected), np.nan)


def _thresholds(
    hulls: Sequence[Hull], shares: FloatArray
) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Of every group the thresholds in use, rising, with shares that add to 1."""
    ends = np.cumsum([len(hull.hits) for hull in hulls])[:-1]
    found = []
    for hull, own in zip(hulls, np.split(shares, ends), strict=True):
        used = np.flatnonzero(own > NEGLIGIBLE)[::-1]
        whole = own[used].sum()
        pairs = zip(hull.thresholds[used], own[used] / whole, strict=True)
        found.append(tuple((float(threshold), float(share)) for threshold, share in pairs))
    return tuple(found)
