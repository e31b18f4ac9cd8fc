"""Comparing the groups of every cross of sensitive columns.

By default a group in which a metric has an empty denominator (no positive rows, for recall) is left
out of that metric's gaps: fairlearn would count 0 (see `evaluation.metrics`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from evaluation.audit import regression
from evaluation.audit.findings import gap_records, split
from evaluation.audit.gaps import GapKind, gap_kinds
from evaluation.audit.measured import Cells, Measured, make_cells, measure, percentiles
from evaluation.audit.metrics import BY_GROUP, ByGroup, chosen
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import (
    NAN,
    Comparison,
    Estimate,
    Gap,
    GroupMetric,
    ScoreComparison,
)
from evaluation.audit.score_table import crosses
from evaluation.audit.shown import ALL, Shown
from evaluation.audit.significance import SAME_TEST, corrected, gap_test
from evaluation.audit.tally import Tally
from evaluation.audit.uncertainty import gap_intervals
from evaluation.bootstrap import chance_gaps
from evaluation.rates import CountArray, FloatArray

Compared = TypeVar("Compared", bound=Comparison | ScoreComparison)


def compare_groups(
    tally: Tally, options: AuditOptions, shown: Shown = ALL
) -> tuple[Comparison, ...]:
    """Compare the groups of every cross of columns.

    Parameters
    ----------
    tally : Tally
        Counts; those that noise made negative are taken as 0.
    options : AuditOptions
        ``metrics`` restricts what is computed; equalized odds needs both of its rates.
    shown : Shown
        Groups that may be compared; the others are as those with too few rows.

    Returns
    -------
    tuple of Comparison
        In the order of ``options.by``; p-values are corrected over all of them. A comparison of
        fewer than two groups has gaps of NaN, one of no rows has neither metrics nor gaps.

    Raises
    ------
    InputError
        If a column or a metric is unknown.
    """
    one = regression.compare_one if tally.schema.task == "regression" else _compare
    crossed = crosses(tally.schema, options)
    return corrected_gaps([one(tally, by, options, shown) for by in crossed])


def corrected_gaps(comparisons: Sequence[Compared]) -> tuple[Compared, ...]:
    """Correct the p-values of all gaps; gaps with one test (complements, ratios) count once."""
    found: dict[tuple[int, str], float] = {}
    for i, comparison in enumerate(comparisons):
        for gap in comparison.gaps:
            found.setdefault(_test_of(i, gap), gap.p)
    holm, rate = corrected(list(found.values()))
    places = {key: place for place, key in enumerate(found)}

    def own(i: int, gap: Gap) -> Gap:
        place = places[_test_of(i, gap)]
        return replace(gap, p_holm=holm[place], p_bh=rate[place])

    return tuple(
        replace(comparison, gaps=tuple(own(i, gap) for gap in comparison.gaps))
        for i, comparison in enumerate(comparisons)
    )


def _test_of(comparison: int, gap: Gap) -> tuple[int, str]:
    return comparison, SAME_TEST.get(gap.metric, gap.metric)


def _compare(
    tally: Tally, by: tuple[str, ...], options: AuditOptions, shown: Shown = ALL
) -> Comparison:
    if tally.confusion is None:
        raise ValueError("a tally of a classification has confusion counts")
    table, names = tally.grouped(tally.confusion, by)
    table = np.maximum(table, 0)
    groups = split(by, names, table[..., 0].sum(axis=(1, 2)), options.min_group, shown)
    seed = (options.seed, *(tally.schema.axis(name) for name in by))
    metrics = chosen(options.metrics)
    if not len(table):
        return Comparison(by, (), (), (), 0, (), ())
    cells = make_cells(
        table, groups.kept, replicates=options.replicates, rng=np.random.default_rng(seed)
    )
    parts = {m.name: measure(m, cells, options.level, (*seed, 1, _place(m))) for m in metrics}
    return Comparison(
        by,
        groups.names,
        groups.rows,
        groups.suppressed,
        groups.suppressed_rows,
        tuple(_group_metric(m, parts[m.name], cells, options) for m in metrics),
        _gaps(metrics, parts, cells, groups.names, options, seed),
    )


def _place(metric: ByGroup) -> int:
    """Which stream of random numbers a metric has, whatever others are computed."""
    return list(BY_GROUP).index(metric.name)


def _group_metric(
    metric: ByGroup, part: Measured, cells: Cells, options: AuditOptions
) -> GroupMetric:
    k, across = cells.compared, options.across
    values = metric.joined(part.values, across)
    draws = metric.joined(part.draws, across)
    overall = float(metric.joined(part.overall[None], across)[0])
    overall_draws = metric.joined(part.overall_draws, across)
    simple = part.values.shape[1] == 1
    rows = part.rows[:, 0] if simple else cells.rows.sum(axis=(1, 2))
    if simple:
        low, high = part.low[:, 0], part.high[:, 0]
        overall_ends = (part.overall_low[0], part.overall_high[0])
    else:
        low, high = percentiles(draws, options.level)
        ends = percentiles(overall_draws[:, None], options.level)
        overall_ends = (ends[0][0], ends[1][0])
    how = "wilson" if simple else "bootstrap"
    return GroupMetric(
        metric.name,
        metric.title,
        metric.direction,
        _estimate(overall, overall_ends, int(rows.sum()), how, overall_draws),
        tuple(
            _estimate(float(values[g]), (low[g], high[g]), int(rows[g]), how, draws[:, g])
            for g in range(k)
        ),
    )


def _estimate(
    value: float, ends: tuple[float, float], n: int, how: str, draws: FloatArray
) -> Estimate:
    """An estimate; without replicates no interval was asked for."""
    undefined = float(np.isnan(draws).mean()) if len(draws) else 0.0
    low, high = float(ends[0]), float(ends[1])
    if np.isnan(value) or np.isnan(low) or not len(draws):
        return Estimate(value, n=n, undefined=undefined)
    return Estimate(value, min(low, value), max(high, value), n, how, undefined)


def _gaps(
    metrics: Sequence[ByGroup],
    parts: Mapping[str, Measured],
    cells: Cells,
    names: tuple[str, ...],
    options: AuditOptions,
    seed: tuple[int, ...],
) -> tuple[Gap, ...]:
    kinds, across, k = gap_kinds(metrics), options.across, cells.compared
    values = {kind.name: NAN for kind in kinds}
    intervals: dict[str, tuple[float, float]] = {}
    chance: dict[str, float] = {}
    tests: dict[str, float] = {}
    if k > 1:
        rates = {n: (part.values[:k], part.overall[None]) for n, part in parts.items()}
        values = {kind.name: float(kind.value(rates, across)) for kind in kinds}
        intervals = gap_intervals(kinds, parts, values, across, options.level)
        chance = _chance(kinds, cells, options)
        tests = _tests(kinds, parts, cells, seed)
    return gap_records(kinds, parts, names, values, intervals, chance, tests, options)


def _tests(
    kinds: Sequence[GapKind],
    parts: Mapping[str, Measured],
    cells: Cells,
    seed: tuple[int, ...],
) -> dict[str, float]:
    """p-values by metric; complements share one, down to the permutations that were drawn."""
    streams = [*BY_GROUP, "equalized_odds"]
    found: dict[str, float] = {}
    for metric in dict.fromkeys(kind.metric for kind in kinds):
        test = SAME_TEST.get(metric, metric)
        if test not in found:
            found[test] = gap_test(test, cells, parts.get(test), (*seed, 2, streams.index(test)))
        found[metric] = found[test]
    return found


def _chance(kinds: Sequence[GapKind], cells: Cells, options: AuditOptions) -> dict[str, float]:
    """Gaps that chance alone makes.

    None for base rates, which are no decisions, and none for weighted rows, as it redraws rows.
    """
    if cells.weighted or not options.replicates:
        return {}

    def function(kind: GapKind) -> Callable[[CountArray], FloatArray]:
        return lambda counts: kind.of_counts(counts, options.across, compared=cells.compared)

    wanted = [k for k in kinds if k.kind == "difference" and k.metric != "base_rate"]
    return chance_gaps(
        cells.rows,
        {kind.name: function(kind) for kind in wanted},
        replicates=options.replicates,
        level=options.level,
        seed=options.seed,
    )
