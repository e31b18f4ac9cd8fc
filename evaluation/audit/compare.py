"""Comparing the groups of every cross of sensitive columns.

By default a group in which a metric has an empty denominator (no positive rows, for recall) is left
out of that metric's gaps: fairlearn would count 0 (see `evaluation.metrics`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evaluation.audit import regression
from evaluation.audit.families import in_families
from evaluation.audit.findings import Words, gap_records, group_lacks, split
from evaluation.audit.gaps import gap_kinds
from evaluation.audit.measured import (
    Cells,
    Measured,
    complement,
    make_cells,
    measure,
    percentiles,
)
from evaluation.audit.metrics import BY_GROUP, COMPLEMENTS, ByGroup, chosen, says_nothing
from evaluation.audit.null import permuted
from evaluation.audit.options import ALL, AuditOptions, Shown
from evaluation.audit.outcome import Comparison, Estimate, GroupMetric
from evaluation.audit.tally import Tally
from evaluation.audit.vocabulary import check_positive
from evaluation.rates import FloatArray


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
        In the order of ``options.by``. Each is the same whatever others there are, but for the
        corrected p-values, which are of one family. One of fewer than two groups has gaps of NaN,
        one of no rows has neither metrics nor gaps.

    Raises
    ------
    InputError
        If a column or a metric is unknown, or it is not known which class is the positive one.
    """
    check_positive(tally, options)
    one = regression.compare_one if tally.schema.task == "regression" else _compare
    crossed = options.crosses(tally.schema.names)
    return in_families([one(tally, by, options, shown) for by in crossed])


def _compare(
    tally: Tally, by: tuple[str, ...], options: AuditOptions, shown: Shown = ALL
) -> Comparison:
    table, names = tally.grouped(tally.judged, by)
    table = np.maximum(table, 0)
    kept, groups = split(by, names, table[..., 0].sum(axis=(1, 2)), options.min_group, shown)
    if not len(table):
        return groups
    metrics, classes = chosen(options.metrics), tally.schema.classes
    cells = make_cells(
        table, kept, replicates=options.replicates, rng=np.random.default_rng(options.seed)
    )
    parts = _measured(metrics, cells, options)
    # What a mean of recalls is made of.
    titles = {m.name: m.title.lower() for m in metrics} | {"balanced_accuracy": "recall"}
    words = Words(titles, classes)
    draw = permuted(cells, options.seed)
    return replace(
        groups,
        metrics=tuple(
            _group_metric(m, parts[m.name], options, words)
            for m in metrics
            if not says_nothing(m.name, len(classes), options.across)
        ),
        gaps=gap_records(gap_kinds(metrics), parts, groups.groups, draw, options, words),
    )


def _measured(
    metrics: Sequence[ByGroup], cells: Cells, options: AuditOptions
) -> dict[str, Measured]:
    """Every metric with a stream of random numbers of its own, whatever others are computed."""
    found: dict[str, Measured] = {}
    for metric in metrics:
        name = COMPLEMENTS.get(metric.name, metric.name)
        seed = (options.seed, 1, list(BY_GROUP).index(name))
        own = found.get(name) or measure(BY_GROUP[name], cells, options.level, seed)
        found[metric.name] = own if name == metric.name else complement(own)
    return found


def _group_metric(
    metric: ByGroup, part: Measured, options: AuditOptions, words: Words
) -> GroupMetric:
    values = metric.joined(part.values, options.across)
    draws = metric.joined(part.draws, options.across)
    simple = part.values.shape[1] == 1
    how, low, high = "wilson", part.low[:, 0], part.high[:, 0]
    if not simple:
        how, (low, high) = "bootstrap", percentiles(draws, options.level)
    lacks = group_lacks(metric.name, part, words)
    *groups, overall = (
        replace(
            _estimate(float(values[g]), (low[g], high[g]), int(part.n[g]), how, draws[:, g]),
            lacks=lacks[g],
        )
        for g in (*range(part.compared), -1)
    )
    return GroupMetric(metric.name, metric.title, metric.direction, overall, tuple(groups))


def _estimate(
    value: float, ends: tuple[float, float], n: int, how: str, draws: FloatArray
) -> Estimate:
    """An estimate; without replicates no interval was asked for."""
    undefined = float(np.isnan(draws).mean()) if len(draws) else 0.0
    low, high = float(ends[0]), float(ends[1])
    if np.isnan(value) or np.isnan(low) or not len(draws):
        return Estimate(value, n=n, undefined=undefined)
    return Estimate(value, min(low, value), max(high, value), n, how, undefined)
