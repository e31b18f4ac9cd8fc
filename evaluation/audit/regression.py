"""Errors of a regression by group, from sums.

Sums of e, |e| and e² give means of all three, and the variances of e and |e|; the variance of e²
would need Σe⁴, so mean squared errors have no interval, and R² would need the spread of the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evaluation.audit.findings import gap_records, split
from evaluation.audit.gaps import kinds_of
from evaluation.audit.measured import Measured, normal_noise
from evaluation.audit.metrics import Direction
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import NAN, Comparison, Estimate, GroupMetric
from evaluation.audit.shown import ALL, Shown
from evaluation.audit.significance import heterogeneity
from evaluation.audit.sparse import IntArray
from evaluation.audit.tally import Tally
from evaluation.audit.uncertainty import gap_intervals
from evaluation.errors import InputError
from evaluation.rates import FloatArray, ratio_or_nan


@dataclass(frozen=True)
class ByError:
    """One metric of errors.

    Parameters
    ----------
    name, title, direction
        As in `evaluation.audit.metrics.ByGroup`.
    value : callable
        Means of e, |e| and e², each of any shape, to the metric.
    variance : callable or None
        The same to the variance of one row's term; None where sums do not tell.
    ratios : bool
        Whether ratios make sense: not where the sign changes.
    """

    name: str
    title: str
    direction: Direction
    value: Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
    variance: Callable[[FloatArray, FloatArray, FloatArray], FloatArray] | None
    ratios: bool = True


_TABLE = (
    ByError("mean_error", "Mean error", "none",
            lambda e, a, s: e, lambda e, a, s: s - e**2, ratios=False),
    ByError("mean_absolute_error", "Mean absolute error", "lower",
            lambda e, a, s: a, lambda e, a, s: s - a**2),
    ByError("mean_squared_error", "Mean squared error", "lower", lambda e, a, s: s, None),
    ByError("root_mean_squared_error", "Root mean squared error", "lower",
            lambda e, a, s: np.sqrt(s), None),
)  # fmt: skip

BY_ERROR: dict[str, ByError] = {metric.name: metric for metric in _TABLE}
"""The metrics by group of regression."""


def chosen_errors(names: tuple[str, ...]) -> tuple[ByError, ...]:
    """The metrics of these names; all of them for none.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    wanted = dict.fromkeys(names) or BY_ERROR
    unknown = [name for name in wanted if name not in BY_ERROR]
    if unknown:
        known = ", ".join(BY_ERROR)
        raise InputError(f"no metric of a regression {unknown[0]!r}; choose from: {known}")
    return tuple(BY_ERROR[name] for name in wanted)


def compare_one(
    tally: Tally, by: tuple[str, ...], options: AuditOptions, shown: Shown = ALL
) -> Comparison:
    """Compare the errors of the groups of one cross of columns; p-values are not yet corrected."""
    if tally.errors is None:
        raise ValueError("a tally of a regression has sums of errors")
    sums, names = tally.grouped(tally.errors, by)
    groups = split(by, names, sums[:, 0], options.min_group, shown)
    if not len(sums):
        return Comparison(by, (), (), (), 0, (), ())
    seed = (options.seed, *(tally.schema.axis(name) for name in by))
    metrics = chosen_errors(options.metrics)
    unit = tally.schema.unit
    parts = {
        m.name: measure_errors(m, sums[groups.kept], sums.sum(axis=0), unit, options, (*seed, i))
        for i, m in enumerate(metrics)
    }
    kinds = [k for m in metrics for k in kinds_of(m.name, m.title, ratios=m.ratios)]
    rates = {name: (part.values, part.overall[None]) for name, part in parts.items()}
    several = len(groups.names) > 1
    values = {k.name: float(k.value(rates, "macro")) if several else NAN for k in kinds}
    intervals = gap_intervals(kinds, parts, values, "macro", options.level) if several else {}
    tests = {name: heterogeneity(part.values, part.spread) for name, part in parts.items()}
    found = gap_records(kinds, parts, groups.names, values, intervals, {}, tests, options)
    return Comparison(
        by,
        groups.names,
        groups.rows,
        groups.suppressed,
        groups.suppressed_rows,
        tuple(_group_metric(m, parts[m.name]) for m in metrics),
        found,
    )


def measure_errors(
    metric: ByError,
    sums: IntArray,
    total: IntArray,
    unit: float,
    options: AuditOptions,
    seed: tuple[int, ...],
) -> Measured:
    """A metric of errors by group with its normal sampling errors.

    Parameters
    ----------
    metric : ByError
        The metric.
    sums : ndarray of int64, shape (groups, 4)
        Rows, Σe, Σ|e|, Σe² of the compared groups, as in `Tally.errors`; `total` those of everyone.
    unit : float
        What errors are counted in.
    options, seed
        Level and replicates; seed of the draws for gaps.
    """
    values, spread, low, high = _normal(metric, sums, unit, options.level)
    overall, overall_spread, overall_low, overall_high = _normal(
        metric, total[None], unit, options.level
    )
    draws = options.replicates if metric.variance is not None else 0
    rng = np.random.default_rng(seed)
    column = values[:, None]
    return Measured(
        values=column,
        overall=overall,
        rows=sums[:, :1],
        low=low[:, None],
        high=high[:, None],
        overall_low=overall_low,
        overall_high=overall_high,
        size=None,
        share=np.zeros_like(column),
        spread=spread[:, None],
        overall_spread=overall_spread,
        noise=normal_noise(column.shape, draws, rng),
        overall_noise=normal_noise((1,), draws, rng),
        compared=len(values),
        draws=np.zeros((0, *column.shape)),
        overall_draws=np.zeros((0, 1)),
        top=float("inf"),
    )


def _normal(
    metric: ByError, sums: IntArray, unit: float, level: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Value, standard error and Student's interval per group."""
    from scipy.special import stdtrit

    n = sums[:, 0].astype(np.float64)
    means = [ratio_or_nan(np.asarray(sums[:, i] * unit, np.float64), n) for i in (1, 2, 3)]
    value = metric.value(means[0], means[1], means[2])
    if metric.variance is None:
        none = np.full(value.shape, np.nan)
        return value, none, none, none
    variance = np.maximum(metric.variance(means[0], means[1], means[2]), 0)
    spread = np.sqrt(ratio_or_nan(variance, n - 1))
    half = stdtrit(np.maximum(n - 1, 1), 0.5 + level / 2) * spread
    low = value - half if metric.direction == "none" else np.maximum(value - half, 0)
    return value, spread, low, value + half


def _group_metric(metric: ByError, part: Measured) -> GroupMetric:
    total = int(part.rows.sum())

    def estimate(value: float, low: float, high: float, n: int) -> Estimate:
        drawn = part.noise.shape[-1] > 0 and not np.isnan(low)
        return Estimate(value, low, high, n, "normal") if drawn else Estimate(value, n=n)

    columns = (part.values[:, 0], part.low[:, 0], part.high[:, 0])
    return GroupMetric(
        metric.name,
        metric.title,
        metric.direction,
        estimate(
            float(part.overall[0]), float(part.overall_low[0]), float(part.overall_high[0]), total
        ),
        tuple(
            estimate(float(v), float(low), float(high), int(n))
            for v, low, high, n in zip(*columns, part.rows[:, 0], strict=True)
        ),
    )
