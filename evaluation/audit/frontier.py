"""What would help: the accuracy that thresholds by group reach within a gap.

Post-processing as of Hardt, Price & Srebro (2016, arXiv:1610.02413) and fairlearn's
`ThresholdOptimizer`: every group gets thresholds of its own, and may use several of them, each for
a share of its rows drawn at random. What a group reaches is then the convex hull of its ROC points,
accuracy and rates are linear in the shares, and the best accuracy within a gap is a linear program,
solved exactly for every constraint, equalized odds included. Groups' histograms are all it takes:
from counts merged over sites the frontier is the federation's own, and no site shares a row.

Thresholds lie between scores, or at edges of cells where these hold several: what a finer threshold
could gain is then left out, and what is said is still reached. The frontier is
fitted to these very rows: on new rows, the more so in small groups, expect a little less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.audit.exact_sums import weights_of
from evaluation.audit.gaps import GAPS
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Frontier
from evaluation.audit.score_table import ScoreTable, score_table, scored_classes
from evaluation.audit.sparse import SparseCounts
from evaluation.audit.tally import Tally
from evaluation.audit.threshold_program import Rate, best_points, roc_hull
from evaluation.rates import FloatArray

POINTS = 11
"""Points of a frontier, from no gap to that of the predictions as they are."""


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
