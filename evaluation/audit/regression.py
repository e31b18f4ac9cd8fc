"""Errors of a regression by group, from sums.

Sums of e, |e| and e² give means of all three, and the variances of e and |e|; the variance of e²
would need Σe⁴, so mean squared errors have no interval, and R² would need the spread of the truth.

The sums are exact integers: a variance is their difference, rounded once. All that follows is in
units of the size of the errors, so that nothing depends on the unit of the data; a comparison is
brought to that unit at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from evaluation.audit.exact_sums import BITS, bits, rounded
from evaluation.audit.findings import Words, gap_records, split
from evaluation.audit.gaps import kinds_of
from evaluation.audit.measured import Measured, normal_noise
from evaluation.audit.metrics import Direction, chosen_from
from evaluation.audit.null import alike_errors
from evaluation.audit.options import ALL, AuditOptions, Shown
from evaluation.audit.outcome import Comparison, Estimate, Gap, GroupMetric
from evaluation.audit.sparse import ExactArray, IntArray
from evaluation.audit.tally import Tally
from evaluation.rates import FloatArray, ratio_or_nan


@dataclass(frozen=True, eq=False)
class Moments:
    """Means and variances of errors by group, in units of the size of all errors."""

    rows: IntArray
    error: FloatArray  # mean of e
    absolute: FloatArray  # of |e|
    square: FloatArray  # of e²
    error_variance: FloatArray
    absolute_variance: FloatArray


@dataclass(frozen=True)
class ByError:
    """One metric of errors; names and direction as in `evaluation.audit.metrics.ByGroup`."""

    name: str
    title: str
    direction: Direction
    value: Callable[[Moments], FloatArray]  # moments to the metric, by group
    # to that of one row's term; None where sums do not tell
    variance: Callable[[Moments], FloatArray] | None
    power: int = 1  # of the unit of errors that the metric is in
    ratios: bool = True  # whether they make sense: not where the sign changes


_TABLE = (
    ByError("mean_error", "Mean error", "none",
            lambda m: m.error, lambda m: m.error_variance, ratios=False),
    ByError("mean_absolute_error", "Mean absolute error", "lower",
            lambda m: m.absolute, lambda m: m.absolute_variance),
    ByError("mean_squared_error", "Mean squared error", "lower", lambda m: m.square, None, power=2),
    ByError("root_mean_squared_error", "Root mean squared error", "lower",
            lambda m: np.sqrt(m.square), None),
)  # fmt: skip

BY_ERROR: dict[str, ByError] = {metric.name: metric for metric in _TABLE}
"""The metrics by group of regression."""


def chosen_errors(names: tuple[str, ...]) -> tuple[ByError, ...]:
    """The metrics of a regression of these names; see `chosen_from`."""
    return chosen_from(BY_ERROR, names, "of a regression")


def compare_one(
    tally: Tally, by: tuple[str, ...], options: AuditOptions, shown: Shown = ALL
) -> Comparison:
    """Compare the errors of the groups of one cross of columns; p-values are not yet corrected."""
    sums, names = tally.grouped(tally.judged, by)
    kept, groups = split(by, names, sums[:, 0], options.min_group, shown)
    if not len(sums):
        return groups
    metrics = chosen_errors(options.metrics)
    total = sums.sum(axis=0, keepdims=True)
    rows, _, _, squares = (int(own) for own in total[0])
    # Of errors: the power of two near their root mean square.
    size = bits(squares, rows) // 2 if squares else 0
    errors = moments(np.concatenate([sums[kept], total]), size)
    parts = {m.name: measure_errors(m, errors, options) for m in metrics}
    kinds = [k for m in metrics for k in kinds_of(m.name, m.title, ratios=m.ratios)]
    words = Words({m.name: m.title.lower() for m in metrics})
    draw = alike_errors(parts, options.seed)
    gaps = gap_records(kinds, parts, groups.groups, draw, options, words)
    found = tuple(_group_metric(m, parts[m.name]) for m in metrics)
    return _in_unit(replace(groups, metrics=found, gaps=gaps), size + BITS * tally.schema.place)


def moments(sums: ExactArray, size: int) -> Moments:
    """Means and variances of errors, in units of the power of two of `size`.

    `sums`, ``(groups, 4)``, are rows, Σe, Σ|e|, Σe² as in `Tally.errors`; at least one row each.
    """
    rows, error, absolute, squares = sums.T
    n = rows.astype(np.float64)

    def mean(sums: ExactArray, power: int = 1) -> FloatArray:
        return np.asarray(rounded(sums, -power * size) / n)

    def variance(sums: ExactArray) -> FloatArray:
        # Of integers: in floating point the difference is noise where errors hardly vary.
        return np.asarray(mean(rows * squares - sums * sums, 2) / n)

    return Moments(
        rows.astype(np.int64),
        mean(error),
        mean(absolute),
        mean(squares, 2),
        variance(error),
        variance(absolute),
    )


def _in_unit(comparison: Comparison, size: int) -> Comparison:
    """A comparison in the unit of the data instead of the size of the errors."""

    def scaled(name: str, value: float) -> float:
        return float(np.ldexp(value, BY_ERROR[name].power * size))

    def moved(name: str, own: Estimate) -> Estimate:
        value, low, high = (scaled(name, end) for end in (own.value, own.low, own.high))
        return replace(own, value=value, low=low, high=high)

    def gap(own: Gap) -> Gap:
        if own.kind == "ratio":
            return own
        chance, detectable = (scaled(own.metric, v) for v in (own.chance, own.detectable))
        estimate = moved(own.metric, own.estimate)
        return replace(own, estimate=estimate, chance=chance, detectable=detectable)

    metrics = tuple(
        replace(
            own,
            overall=moved(own.name, own.overall),
            groups=tuple(moved(own.name, group) for group in own.groups),
        )
        for own in comparison.metrics
    )
    return replace(comparison, metrics=metrics, gaps=tuple(map(gap, comparison.gaps)))


def measure_errors(metric: ByError, errors: Moments, options: AuditOptions) -> Measured:
    """A metric of errors by group, the last of them everyone, with its normal sampling errors."""
    values, spread, low, high = (own[:, None] for own in _normal(metric, errors, options.level))
    draws = options.replicates if metric.variance is not None else 0
    rng = np.random.default_rng((options.seed, 1, list(BY_ERROR).index(metric.name)))
    return Measured(
        values=values,
        rows=errors.rows[:, None],
        n=errors.rows,
        made_of=values,
        low=low,
        high=high,
        size=None,
        share=np.zeros_like(values[:-1]),
        spread=spread,
        noise=normal_noise(values.shape, draws, rng),
        compared=len(values) - 1,
        draws=np.zeros((0, *values.shape)),
        top=float("inf"),
    )


def _normal(
    metric: ByError, errors: Moments, level: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Value, standard error and Student's interval per group."""
    from scipy.special import stdtrit

    n, value = errors.rows.astype(np.float64), metric.value(errors)
    if metric.variance is None:
        none = np.full(value.shape, np.nan)
        return value, none, none, none
    variance = metric.variance(errors)
    spread = np.sqrt(ratio_or_nan(variance, n - 1))
    half = stdtrit(np.maximum(n - 1, 1), 0.5 + level / 2) * spread
    low = value - half if metric.direction == "none" else np.maximum(value - half, 0)
    return value, spread, low, value + half


def _group_metric(metric: ByError, part: Measured) -> GroupMetric:
    n = [*part.n[:-1], part.n[:-1].sum()]

    def estimate(g: int) -> Estimate:
        value, low, high = (float(own[g, 0]) for own in (part.values, part.low, part.high))
        if not part.noise.shape[-1] or np.isnan(low):
            return Estimate(value, n=int(n[g]))
        return Estimate(value, low, high, int(n[g]), "normal")

    *groups, overall = (estimate(g) for g in range(len(n)))
    return GroupMetric(metric.name, metric.title, metric.direction, overall, tuple(groups))
