"""What would help: the accuracy that thresholds by group reach within a gap.

Post-processing as of Hardt, Price & Srebro (2016, arXiv:1610.02413) and fairlearn's
`ThresholdOptimizer`: every group gets thresholds of its own, and may use several of them, each for
a share of its rows drawn at random. What a group reaches is then the convex hull of its ROC points,
accuracy and rates are linear in the shares, and the best accuracy within a gap is a linear program,
solved exactly for every constraint, equalized odds included. Groups' histograms are all it takes:
from counts merged over sites the frontier is the federation's own, and no site shares a row.

Thresholds lie between scores, or at edges of cells where these hold several: what a finer threshold
could gain is then left out, and what is said is still reached. The frontier is fitted to these very
rows: on new rows, the more so in small groups, expect a little less.

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

from evaluation.audit.exact_sums import weights_of
from evaluation.audit.gaps import GAPS
from evaluation.audit.histograms import Grid
from evaluation.audit.labels import simplest
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Frontier, FrontierPoint
from evaluation.audit.score_table import ScoreTable, score_table, scored_classes
from evaluation.audit.sparse import SparseCounts
from evaluation.audit.tally import Tally
from evaluation.rates import FloatArray

MOST = 0.9
"""Share of the points that stay, beyond which leaving out more is not worth another look."""
NOBODY = 1 + 2.0**-10
"""A threshold that no score reaches."""
Rate = Literal["selection", "true_positive", "false_positive"]
NEGLIGIBLE = 1e-9
"""Shares below this are the solver's rounding."""
POINTS = 11
"""Points of a frontier, from no gap to that of the predictions as they are."""


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


@dataclass(frozen=True)
class Constraint:
    """A gap to limit: fairlearn's name of it, the rates it is of, and ours of it in `GAPS`."""

    name: str
    rates: tuple[Rate, ...]
    gap: str


CONSTRAINTS = (
    Constraint("demographic_parity", ("selection",), "demographic_parity_difference"),
    Constraint("true_positive_rate_parity", ("true_positive",), "equal_opportunity_difference"),
    Constraint("false_positive_rate_parity", ("false_positive",), "false_positive_rate_difference"),
    Constraint("equalized_odds", ("true_positive", "false_positive"), "equalized_odds_difference"),
)
"""Names are those of fairlearn's `ThresholdOptimizer`; the gap of equalized odds is the larger."""


def frontiers(tally: Tally, options: AuditOptions) -> tuple[Frontier, ...]:
    """Best accuracy against each gap, for every cross of columns.

    Parameters
    ----------
    tally : Tally
        Of two classes, with predictions and scores of the positive one.
    options : AuditOptions
        Crosses of columns, and the rows below which a group is left out.

    Returns
    -------
    tuple of Frontier
        One for every cross and constraint whose gap is defined; accuracy is that over the compared
        groups, and never falls as the allowed gap grows. Empty for regression, without scores, and
        for other than two classes.
    """
    if tally.confusion is None or len(tally.schema.classes) != 2:
        return ()
    found: list[Frontier] = []
    for by in options.crosses(tally.schema.names):
        for scored in scored_classes(tally.schema):
            table = score_table(tally, by, scored, options)
            if table is not None and len(table.groups) > 1:
                found += _of_table(table, _predicted(tally, tally.confusion, table))
    return tuple(found)


def _predicted(tally: Tally, confusion: SparseCounts, table: ScoreTable) -> FloatArray:
    """Confusion counts (or weights) of the compared groups, negative ones taken as 0."""
    counts, names = tally.grouped(confusion, table.by)
    place = {name: i for i, name in enumerate(names)}
    # A group of which noise or suppression left only the scores has no rates: it is left out.
    none = np.zeros(counts.shape[1:], np.int64)
    shown = [counts[place[name]] if name in place else none for name in table.groups]
    return weights_of(np.maximum(np.array(shown), 0))


def _of_table(table: ScoreTable, counts: FloatArray) -> list[Frontier]:
    right = float(np.einsum("gcc->", counts) / counts.sum()) if counts.any() else np.nan
    hulls = [roc_hull(own.weights, own.grid) for own in table.compared]
    found = []
    for constraint in CONSTRAINTS:
        now = float(GAPS[constraint.gap].of_counts(counts))
        if np.isnan(now):
            continue
        gaps = np.linspace(0.0, now, POINTS) if now > 0 else np.zeros(1)
        points = best_points(hulls, constraint.rates, [float(gap) for gap in gaps])
        found.append(Frontier(table.by, table.groups, constraint.name, points, (now, right)))
    return found
