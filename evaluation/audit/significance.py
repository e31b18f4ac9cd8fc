"""Tests of no difference between groups, from counts; corrections for many of them; power.

A rate's test is Pearson's on the table of groups by outcome; where several tables belong together
(one per true class for equalized odds) their statistics add. Where a cell expects fewer than
`ENOUGH` rows the p-value is that of `DRAWS` permutations of the rows, drawn from the hypergeometric
distribution of the counts; else of the chi-square distribution. Hypotheses whose tables share rows
(false positive rates of more than two classes) are joined by Bonferroni. Weighted rows: tables are
scaled to effective rows per group (Rao & Scott 1981, first order). Metrics that are no proportions
(F1, balanced accuracy, errors) are compared by ``Σ (θ - θ̄)²/se²``.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.measured import Cells, Measured
from evaluation.rates import FloatArray, ratio_or_nan

Table = FloatArray
Joint = list[Table]
"""Tables ``(groups, outcomes)`` whose statistics add."""

ENOUGH = 5.0
"""Expected rows per cell from which the chi-square distribution is used (Cochran 1954)."""
DRAWS = 9_999
"""Permutations; the smallest p-value is one in this plus one."""

SAME_TEST = {
    "zero_one_loss": "accuracy",
    "false_negative_rate": "true_positive_rate",
    "true_negative_rate": "false_positive_rate",
    "false_discovery_rate": "precision",
}
"""Complements, which have the same test."""


def tables(metric: str, counts: NDArray[np.number]) -> list[Joint]:
    """Tables of the hypotheses that together say that a metric is equal over groups.

    Parameters
    ----------
    metric : str
        Of `BY_GROUP`, or ``equalized_odds``.
    counts : ndarray, shape (groups, C, C)
        Confusion counts.

    Returns
    -------
    list of list of ndarray, shape (groups, outcomes)
        Empty for a metric that is no proportion.
    """
    array = np.asarray(counts, np.float64)
    n = array.shape[-1]
    classes = range(1, n) if n == 2 else range(n)
    hits = np.diagonal(array, axis1=1, axis2=2)
    true, predicted, rows = array.sum(axis=2), array.sum(axis=1), array.sum(axis=(1, 2))

    def pair(c: int, part: FloatArray, whole: FloatArray) -> Table:
        return np.stack([part[:, c], (whole - part)[:, c]], axis=1)

    name, total = SAME_TEST.get(metric, metric), rows[:, None]
    if name == "accuracy":
        right = hits.sum(axis=1)
        return [[np.stack([right, rows - right], axis=1)]]
    if name == "selection_rate":
        return [[predicted]]
    if name == "base_rate":
        return [[true]]
    if name == "equalized_odds":
        return [[array[:, c] for c in range(n)]]
    if name == "true_positive_rate":
        return [[pair(c, hits, true) for c in classes]]
    if name == "precision":
        return [[pair(c, hits, predicted) for c in classes]]
    if name == "false_positive_rate":
        return [[pair(c, predicted - hits, total - true)] for c in classes]
    if name == "false_omission_rate":
        return [[pair(c, true - hits, total - predicted)] for c in classes]
    return []


def gap_test(metric: str, cells: Cells, part: Measured | None, seed: Sequence[int]) -> float:
    """p-value of no difference between the compared groups; NaN where there is no test.

    Parameters
    ----------
    metric : str
        As in `tables`.
    cells : Cells
        Counts of the cross.
    part : Measured or None
        The metric, used if it is no proportion.
    seed : sequence of int
        Of the permutations.
    """
    k = cells.compared
    source: NDArray[Any] = cells.rows[:k]
    if cells.weighted:
        scale = ratio_or_nan(cells.weights[:k].sum(axis=(1, 2)), cells.squares[:k].sum(axis=(1, 2)))
        source = cells.weights[:k] * np.nan_to_num(scale)[:, None, None]
    hypotheses = tables(metric, source)
    if not hypotheses:
        return heterogeneity(part.values[:k], part.spread[:k]) if part is not None else np.nan
    rng = np.random.default_rng(list(seed))
    values = [joint_test(joint, rng, exact=not cells.weighted) for joint in hypotheses]
    defined = [p for p in values if not np.isnan(p)]
    return min(1.0, len(defined) * min(defined)) if defined else np.nan


def joint_test(joint: Joint, rng: np.random.Generator, *, exact: bool = True) -> float:
    """p-value of independence of groups and outcomes in all tables; NaN if none can tell."""
    useful = [table for table in map(_trimmed, joint) if min(table.shape) > 1]
    if not useful:
        return float("nan")
    statistic = sum(float(pearson(table, table)) for table in useful)
    freedom = sum((table.shape[0] - 1) * (table.shape[1] - 1) for table in useful)
    least = min(float(_expected(table).min()) for table in useful)
    if least >= ENOUGH or not exact:
        return chi_square_tail(statistic, freedom)
    drawn = np.zeros(DRAWS)
    for table in useful:
        drawn += pearson(permuted_tables(table.astype(np.int64), DRAWS, rng), table)
    # Equal tables may differ in the last digit of their statistics.
    return float(((drawn >= statistic * (1 - 1e-9)).sum() + 1) / (DRAWS + 1))


def pearson(tables: NDArray[np.number], margins: Table) -> FloatArray:
    """Pearson's statistic of tables ``(..., groups, outcomes)`` with the margins of one of them."""
    expected = _expected(margins)
    return np.asarray(((tables - expected) ** 2 / expected).sum(axis=(-2, -1)))


def permuted_tables(
    table: NDArray[np.int64], draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Tables of the same margins, as permuted rows give; ``(draws, groups, outcomes)``."""
    groups, outcomes = table.shape
    found = np.zeros((draws, groups, outcomes), np.int64)
    left = np.repeat(table.sum(axis=0)[None], draws, axis=0)
    for g in range(groups - 1):
        wanted = np.full(draws, table[g].sum())
        pool = left.sum(axis=1)
        for c in range(outcomes - 1):
            pool = pool - left[:, c]
            taken = rng.hypergeometric(left[:, c], pool, wanted)
            found[:, g, c] = taken
            wanted = wanted - taken
        found[:, g, -1] = wanted
        left = left - found[:, g]
    found[:, -1] = left
    return found


def heterogeneity(values: FloatArray, errors: FloatArray) -> float:
    """p-value of equal values given their standard errors, classes joined by Bonferroni."""
    found = []
    for value, error in zip(values.T, errors.T, strict=True):
        use = ~np.isnan(value) & (np.nan_to_num(error) > 0)
        if use.sum() < 2:
            continue
        weight = error[use] ** -2
        mean = float((value[use] * weight).sum() / weight.sum())
        statistic = float((weight * (value[use] - mean) ** 2).sum())
        found.append(chi_square_tail(statistic, int(use.sum()) - 1))
    return min(1.0, len(found) * min(found)) if found else float("nan")


def chi_square_tail(statistic: float, freedom: int) -> float:
    """Probability that a chi-square variable is at least this large."""
    from scipy.special import chdtrc

    return float(chdtrc(freedom, statistic))


def corrected(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """p-values by Holm (1979) and by Benjamini & Hochberg (1995), in the order given.

    NaN stays NaN and does not count as a test.
    """
    from scipy.stats import false_discovery_control

    p = np.asarray(values, np.float64)
    holm, rate = np.full(p.shape, np.nan), np.full(p.shape, np.nan)
    use = np.flatnonzero(~np.isnan(p))
    if use.size:
        order = use[np.argsort(p[use], kind="stable")]
        steps = p[order] * np.arange(use.size, 0, -1)
        holm[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
        rate[use] = false_discovery_control(p[use])
    return [float(v) for v in holm], [float(v) for v in rate]


def detectable_gap(
    part: Measured, ends: tuple[int, int], column: int, level: float, power: float
) -> float:
    """Difference between two groups that is found with some power (normal approximation).

    ``(z_{1-α/2} + z_power) sqrt(v₁ + v₂)``, for a proportion with ``v = p(1-p)/n`` at the overall
    p; otherwise with the bootstrap's standard errors.

    Parameters
    ----------
    part : Measured
        The metric.
    ends : (int, int)
        Rows of the two groups.
    column : int
        The class.
    level, power
        One less the error of the first kind; and the power.
    """
    normal = NormalDist()
    reach = normal.inv_cdf(0.5 + level / 2) + normal.inv_cdf(power)
    if part.size is None:
        variance = part.spread[list(ends), column] ** 2
    else:
        p = part.overall[column]
        variance = ratio_or_nan(np.full(2, p * (1 - p)), part.size[list(ends), column])
    return float(min(part.top, reach * np.sqrt(variance.sum())))


def _trimmed(table: Table) -> Table:
    """Without groups and outcomes that have no rows."""
    kept: Table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    return kept


def _expected(table: Table) -> FloatArray:
    return np.asarray(np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum())
