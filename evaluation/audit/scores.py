"""Scores over groups: how well they rank, how far they are calibrated, and the gaps in that.

Everything comes from the mergeable histograms of a `Tally`: merged from many sites, the result is
that of all rows, up to the stated binning error, by which every interval is wider.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter

import numpy as np

from evaluation.audit.histograms import (
    CALIBRATION_BINS,
    KINDS,
    ScoreKind,
    Sums,
    binned,
)
from evaluation.audit.options import ALL, AuditOptions, Shown
from evaluation.audit.outcome import NAN, Estimate, Gap, ScoreComparison, ScoreMetric
from evaluation.audit.score_replicates import (
    Drawn,
    alike,
    bootstrapped,
    gap_interval,
    interval,
)
from evaluation.audit.score_table import (
    Histogram,
    ScoreTable,
    score_table,
    scored_classes,
)
from evaluation.audit.tally import Tally
from evaluation.intervals import wilson_interval
from evaluation.rates import FloatArray, ratio_or_nan

DENSITY_BINS = 20
TERMS = "terms"
"""Replicates of `Sums.terms`."""
RANKINGS = ("roc_auc", "average_precision")
"""Metrics that no replicate moves where every pair is ranked right."""


def score_comparisons(
    tally: Tally, options: AuditOptions, shown: Shown = ALL
) -> tuple[ScoreComparison, ...]:
    """Compare the scores of the groups of every cross of columns, class by class.

    Of two classes the positive one is scored; of more, every class against the rest, each in a
    comparison of its own. Groups with fewer than ``options.min_group`` rows are not compared; their
    rows count in the overall values. Weighted rows count by their weights; ``n`` stays rows.

    Intervals come from the bootstrap: `interval` for a metric, `gap_interval` for a gap. The lower
    end of a calibration error lies below the value by as much as its terms can be off together,
    since noise only ever adds to such an error. Where every pair is ranked right (or wrong) no
    replicate differs; then `min(positives, negatives)` disjoint pairs, all won (lost), give the
    Wilson interval of the AUC, which average precision takes over, and which gaps to such a group
    take part of. In simulations nominal 95 % intervals covered 93 to 97 % for the AUC and 92 to
    98 % for its gap, 89 to 97 % and 91 to 98 % for average precision (250 of each setting).

    ``Gap.chance`` is the gap that is reached when scores have nothing to do with the group, given
    the class; ``Gap.p`` the Monte Carlo test of that, a parametric bootstrap (Davison & Hinkley
    1997, section 4.2). Groups keep their base rates, so a gap that these explain is no finding.

    Returns
    -------
    tuple of ScoreComparison
        Empty without scores.
    """
    return tuple(
        _comparison(table, options, several=len(tally.schema.classes) > 2)
        for by in options.crosses(tally.schema.names)
        for scored in scored_classes(tally.schema)
        if (table := score_table(tally, by, scored, options, shown)) is not None
    )


def _comparison(table: ScoreTable, options: AuditOptions, *, several: bool) -> ScoreComparison:
    kinds, seed = {kind.name: kind.of for kind in KINDS}, options.seed
    drawn: Drawn = {}
    chance: Drawn = {}
    if options.replicates:
        drawn = bootstrapped(table, kinds | {TERMS: attrgetter(TERMS)}, options.replicates, seed)
        if len(table.groups) > 1:
            # Another stream than that of the bootstrap.
            chance = alike(table, kinds, options.replicates, seed + 1)
    metrics = tuple(_metric(kind, table, drawn, options) for kind in KINDS)
    of_class = f" of the score for {table.scored}" if several else ""
    gaps = tuple(_gap(metric, table.groups, drawn, chance, options, of_class) for metric in metrics)
    return ScoreComparison(
        by=table.by,
        groups=table.groups,
        metrics=metrics,
        gaps=gaps,
        densities=_densities(table),
        calibration=_calibration(table),
    )


def _metric(kind: ScoreKind, table: ScoreTable, drawn: Drawn, options: AuditOptions) -> ScoreMetric:
    estimates = [
        _estimate(kind, histogram, i, drawn, options.level)
        for i, histogram in enumerate((*table.compared, table.overall))
    ]
    return ScoreMetric(
        name=kind.name,
        title=kind.title,
        direction=kind.direction,
        scored=table.scored,
        overall=estimates[-1],
        groups=tuple(estimates[:-1]),
    )


def _estimate(
    kind: ScoreKind, histogram: Histogram, index: int, drawn: Drawn, level: float
) -> Estimate:
    sums = Sums(histogram.weights, histogram.grid)
    value = float(kind.of(sums))
    if np.isnan(value):
        return Estimate(value, n=histogram.n)
    error = min(1.0, float(kind.error_of(sums)))
    plain = Estimate(value, n=histogram.n, binning=error)
    if not drawn:
        return plain
    replicates = drawn[kind.name][:, index]
    plain = replace(plain, undefined=float(np.isnan(replicates).mean()))
    pairs = int(histogram.rows.sum(axis=-1).min())
    if kind.name in RANKINGS and value in (0.0, 1.0) and pairs:
        wilson = wilson_interval(int(value) * pairs, pairs, level)
        return _widened(replace(plain, low=wilson.low, high=wilson.high, how="wilson"))
    low, high = interval(value, replicates, level)
    if np.isnan(low):
        return plain
    if kind.name == "calibration_error":
        off = np.abs(drawn[TERMS][:, index] - sums.terms).sum(axis=-1)
        low = value - float(np.quantile(off[~np.isnan(off)], level))
    # Never short of the value: merged scores and skew may leave it just outside.
    return _widened(replace(plain, low=min(low, value), high=max(high, value), how="bootstrap"))


def _widened(estimate: Estimate) -> Estimate:
    """With the binning error in the interval: it may be all that the value is off."""
    low, high = estimate.low - estimate.binning, estimate.high + estimate.binning
    return replace(estimate, low=max(0.0, low), high=min(1.0, high))


def _gap(
    metric: ScoreMetric,
    groups: tuple[str, ...],
    drawn: Drawn,
    chance: Drawn,
    options: AuditOptions,
    of_class: str,
) -> Gap:
    values = np.array([estimate.value for estimate in metric.groups], np.float64)
    estimate, ends = _difference(metric, values, drawn, options.level)
    gap = Gap(
        name=f"{metric.name}_difference",
        title=f"{metric.title}{of_class}: difference between groups",
        metric=metric.name,
        kind="difference",
        method="between_groups",
        estimate=estimate,
        lowest="" if ends is None else groups[ends[0]],
        highest="" if ends is None else groups[ends[1]],
    )
    return gap if ends is None or not chance else _tested(gap, chance[metric.name], options.level)


def _tested(gap: Gap, alike: FloatArray, level: float) -> Gap:
    """Put what chance reaches beside the gap, and how often it reaches this one."""
    defined = alike[(~np.isnan(alike)).sum(axis=1) >= 2]
    if not len(defined):
        return gap
    gaps = np.nanmax(defined, axis=1) - np.nanmin(defined, axis=1)
    # A draw that ties with the value up to rounding counts against it.
    beyond = int((gaps >= gap.estimate.value - 1e-12).sum())
    p = (1 + beyond) / (1 + len(gaps))
    return replace(gap, chance=float(np.quantile(gaps, level)), p=p)


def _difference(
    metric: ScoreMetric, values: FloatArray, drawn: Drawn, level: float
) -> tuple[Estimate, tuple[int, int] | None]:
    n = sum(estimate.n for estimate in metric.groups)
    if (~np.isnan(values)).sum() < 2:
        return Estimate(NAN, n=n), None
    ends = int(np.nanargmin(values)), int(np.nanargmax(values))
    # Between two groups, the value is off by both their errors at most.
    errors = np.sort([own.binning for own in metric.groups])
    plain = Estimate(
        float(values[ends[1]] - values[ends[0]]), n=n, binning=min(1.0, float(errors[-2:].sum()))
    )
    if not drawn:
        return plain, ends
    replicates = drawn[metric.name][:, :-1]
    low, high = gap_interval(values, replicates, level)
    certain = _perfect_interval(metric.groups)
    low, high = min(low, certain[0]), max(high, certain[1])
    undefined = float(((~np.isnan(replicates)).sum(axis=1) < 2).mean())
    found = replace(plain, low=low, high=high, how="bootstrap", undefined=undefined)
    return _widened(found), ends


def _perfect_interval(groups: Sequence[Estimate]) -> tuple[float, float]:
    """Interval of the largest difference from a group whose ranking has no error to resample.

    From the groups' own intervals (MOVER, Zou & Donner 2008, doi:10.1002/sim.3095), over the pairs
    with such a group; (1, 0) where there is none.
    """
    value, low, high = (
        np.array([getattr(own, end) for own in groups]) for end in ("value", "low", "high")
    )
    down, up = value - low, high - value
    # From the lower of two to the higher one: what the one may rise and the other fall, and so on.
    difference = value[:, None] - value
    least = difference - np.hypot(down[:, None], up)
    most = difference + np.hypot(up[:, None], down)
    perfect = np.array([own.how == "wilson" for own in groups])
    pairs = (perfect[:, None] | perfect) & (difference >= 0) & ~np.eye(len(groups), dtype=bool)
    pairs &= ~np.isnan(least) & ~np.isnan(most)
    if not pairs.any():
        return 1.0, 0.0
    return max(0.0, float(least[pairs].max())), min(1.0, float(most[pairs].max()))


def _densities(table: ScoreTable) -> tuple[tuple[float, ...], ...]:
    found = []
    for own in table.compared:
        rows = binned(own.weights.sum(axis=0), own.grid.centre, DENSITY_BINS)
        found.append(tuple(float(share) for share in ratio_or_nan(rows, rows.sum(keepdims=True))))
    return tuple(found)


def _calibration(table: ScoreTable) -> tuple[tuple[tuple[float, float, int], ...], ...]:
    """Of every group the points of its calibration curve, from low to high scores."""
    curves = []
    for own in table.compared:
        centre, weights = own.grid.centre, own.weights.sum(axis=0)
        n, weight, score, hits = (
            binned(values, centre, CALIBRATION_BINS)
            for values in (own.rows.sum(axis=0), weights, weights * centre, own.weights[1])
        )
        mean, rate = ratio_or_nan(score, weight), ratio_or_nan(hits, weight)
        held = np.flatnonzero(weight > 0)
        curves.append(tuple((float(mean[b]), float(rate[b]), int(n[b])) for b in held))
    return tuple(curves)
