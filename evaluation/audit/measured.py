"""Metrics of the groups of one cross, with what their uncertainty needs.

All arrays have groups first, then classes (one column unless there are more than two classes). Rows
of suppressed groups are one more group at the end, so that overall values are those of everyone.

Weighted rows: a rate is a ratio of sums of weights; its effective size is that of the ratio's
linearised variance, ``p(1-p)(Σw)² / ((1-p)² Σ_hit w² + p² Σ_miss w²)`` (Kish's ``(Σw)²/Σw²`` where
p is 0 or 1), and stands for n in Wilson's formula. Replicates draw rows; a cell's weight in a
replicate is normal around its mean weight times the rows drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.exact_sums import weight_moments
from evaluation.audit.metrics import (
    ByGroup,
    Parts,
    f1_of_jaccard,
    jaccard_of_f1,
    jaccard_parts,
    recall_parts,
)
from evaluation.audit.sparse import ExactArray
from evaluation.bootstrap import resample
from evaluation.intervals import wilson_limits
from evaluation.metrics import skipping_nan
from evaluation.rates import FloatArray, pool_groups, ratio_or_nan

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cells:
    """Confusion counts ``(groups, C, C)`` of a cross: rows, weights, and replicates of them.

    The last group is that of the suppressed rows if `compared` is less than all.
    """

    rows: IntArray
    weights: FloatArray  # Σw relative to the mean weight; the rows where there are no weights
    squares: FloatArray  # Σw², likewise
    compared: int
    weighted: bool
    replicates: FloatArray  # of `weights`, ``(replicates, groups, C, C)``; the first axis may be 0


def make_cells(
    values: ExactArray, kept: NDArray[np.bool_], *, replicates: int, rng: np.random.Generator
) -> Cells:
    """Prepare counts of a cross; groups that are not `kept` are pooled.

    `values`, ``(groups, C, C, 1 or 3)``, are rows, and with weights Σw and Σw².
    """
    table = values[kept]
    if not kept.all():
        table = np.concatenate([table, values[~kept].sum(axis=0, keepdims=True)])
    rows, weighted = table[..., 0].astype(np.int64), values.shape[-1] > 1
    weights = squares = rows.astype(np.float64)
    spread = np.zeros_like(weights)
    if weighted:
        weights, squares, spread = weight_moments(table)
    cells = Cells(
        rows, weights, squares, int(kept.sum()), weighted, np.zeros((0, *rows.shape), np.float64)
    )
    if not replicates or not rows.sum():
        return cells
    return replace(cells, replicates=_drawn(cells, spread, replicates, rng))


def _drawn(
    cells: Cells, spread: FloatArray, replicates: int, rng: np.random.Generator
) -> FloatArray:
    """Replicates of the weights; `spread` is the standard deviation of a weight in its cell."""
    drawn = resample(cells.rows, replicates, rng).astype(np.float64)
    if not cells.weighted:
        return drawn
    mean = cells.weights / np.maximum(cells.rows, 1)
    noise = rng.standard_normal(drawn.shape) * np.sqrt(drawn) * spread
    return np.maximum(drawn * mean + noise, 0)


@dataclass(frozen=True, eq=False)
class Measured:
    """One metric over groups with its sampling errors; NaN where it is undefined.

    Arrays have shape ``(groups, classes)``, overall ones ``(classes,)``, unless something else is
    said.
    """

    values: FloatArray
    overall: FloatArray
    rows: IntArray  # of the denominators
    n: IntArray  # ``(groups,)``: rows that the metric rests on, whichever its class
    # ``(groups, parts)``: rates whose mean is the metric, or else the metric itself: what may lack
    # a denominator
    made_of: FloatArray
    low: FloatArray  # ends of an interval
    high: FloatArray
    overall_low: FloatArray
    overall_high: FloatArray
    size: FloatArray | None  # effective rows where it is a proportion, or F1 made of one
    share: FloatArray  # of each group in the overall denominator; 0 where it is no proportion
    spread: FloatArray  # standard errors where it is no proportion
    overall_spread: FloatArray
    noise: FloatArray  # ``(groups, classes, draws)``: standardised errors, independent over groups
    overall_noise: FloatArray
    compared: int  # groups that are compared: the first ones
    draws: FloatArray  # ``(draws, groups, classes)``: the metric in bootstrap replicates
    overall_draws: FloatArray
    top: float = 1.0  # largest value that the metric can have
    jaccard: bool = False  # it is F1: `size`, `share` and noise are of its Jaccard index


def measure(metric: ByGroup, cells: Cells, level: float, seed: Iterable[int]) -> Measured:
    """Apply a metric by group to the counts of a cross and to their replicates."""
    values = metric.values(cells.weights)
    overall = metric.values(pool_groups(cells.weights))[0]
    draws = metric.values(cells.replicates)
    overall_draws = metric.values(pool_groups(cells.replicates))[:, 0]
    rng = np.random.default_rng(list(seed))
    total = cells.rows.sum(axis=(1, 2))
    jaccard, simple = metric.name == "f1", values.shape[1] == 1
    size, share, made_of = None, np.zeros_like(values), values
    rows = np.broadcast_to(total[:, None], values.shape).astype(np.int64)
    spread = overall_spread = np.full(values.shape, np.nan)
    if metric.name == "balanced_accuracy":
        made_of = ratio_or_nan(*recall_parts(cells.weights))
        spread, overall_spread = _mean_errors(cells.weights, cells.squares)
    else:
        of = jaccard_parts if jaccard else metric.parts
        parts = of(cells.weights)
        size = effective_size(parts, of(cells.squares))
        share = np.nan_to_num(ratio_or_nan(parts[1], parts[1].sum(axis=0)))
        if metric.proportion:
            rows = metric.parts(cells.rows)[1].astype(np.int64)
    low, high = _limits(metric, cells.weights, cells.squares, level)
    overall_low, overall_high = _limits(
        metric, pool_groups(cells.weights), pool_groups(cells.squares), level
    )
    count, varied = len(draws), jaccard_of_f1(draws) if jaccard else draws
    return Measured(
        values=values,
        overall=overall,
        rows=rows,
        n=rows[:, 0] if simple else total,
        made_of=made_of,
        low=low,
        high=high,
        overall_low=overall_low[0],
        overall_high=overall_high[0],
        size=size,
        share=share,
        spread=spread,
        overall_spread=overall_spread[0],
        # Of one class the normal's quantiles; several share rows, as replicates know.
        noise=normal_noise(values.shape, count, rng) if simple else _noise(varied, rng),
        overall_noise=normal_noise(overall.shape, count, rng),
        compared=cells.compared,
        draws=draws,
        overall_draws=overall_draws,
        jaccard=jaccard,
    )


def complement(part: Measured) -> Measured:
    """One less a metric, with the same sampling errors: error rate for accuracy, and the like."""
    return replace(
        part,
        values=1 - part.values,
        overall=1 - part.overall,
        made_of=1 - part.made_of,
        low=1 - part.high,
        high=1 - part.low,
        overall_low=1 - part.overall_high,
        overall_high=1 - part.overall_low,
        noise=-part.noise,
        overall_noise=-part.overall_noise,
        draws=1 - part.draws,
        overall_draws=1 - part.overall_draws,
    )


def proportion_errors(p: FloatArray, size: FloatArray) -> FloatArray:
    """Standard errors of proportions, one row of each outcome added (Agresti & Caffo 2000)."""
    added = (p * size + 1) / (size + 2)
    return np.sqrt(added * (1 - added) / np.where(size > 0, size, np.nan))


def _mean_errors(weights: FloatArray, squares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Standard errors of a mean of recalls, of groups and overall: ``(groups, 1)``, ``(1, 1)``."""

    def errors(weights: FloatArray, squares: FloatArray) -> FloatArray:
        parts = recall_parts(weights)
        each = proportion_errors(ratio_or_nan(*parts), effective_size(parts, recall_parts(squares)))
        classes = np.asarray((~np.isnan(each)).sum(axis=-1, keepdims=True), np.float64)
        return ratio_or_nan(np.sqrt(np.nansum(each**2, axis=-1, keepdims=True)), classes)

    return errors(weights, squares), errors(pool_groups(weights), pool_groups(squares))


def _limits(
    metric: ByGroup, weights: FloatArray, squares: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """Interval of each group and class.

    Wilson's for proportions. F1 is ``2J/(1+J)`` of the proportion ``J = tp/(tp+fp+fn)`` (Jaccard's
    index), whose Wilson interval it takes; balanced accuracy is a mean of recalls, independent
    proportions whose Wilson intervals add by squares (MOVER, Zou & Donner 2008).
    """
    if metric.name == "f1":
        ends = _wilson(jaccard_parts(weights), jaccard_parts(squares), level)
        return f1_of_jaccard(ends[0]), f1_of_jaccard(ends[1])
    if metric.name != "balanced_accuracy":
        return _wilson(metric.parts(weights), metric.parts(squares), level)
    parts = recall_parts(weights)
    recalls, (low, high) = ratio_or_nan(*parts), _wilson(parts, recall_parts(squares), level)
    mean = metric.values(weights)
    classes = np.maximum((~np.isnan(recalls)).sum(axis=-1, keepdims=True), 1)
    down, up = (
        np.sqrt(np.nansum((recalls - end) ** 2, axis=-1, keepdims=True)) / classes
        for end in (low, high)
    )
    return mean - down, mean + up


def _wilson(parts: Parts, squares: Parts, level: float) -> tuple[FloatArray, FloatArray]:
    return wilson_limits(ratio_or_nan(*parts), effective_size(parts, squares), level)


def effective_size(parts: Parts, squares: Parts) -> FloatArray:
    """Rows without weights whose proportion would vary as much; the rows where all weigh 1.

    `parts` are numerator and denominator of Σw, `squares` the same of Σw².
    """
    total, (hit, both) = parts[1], squares
    p = np.nan_to_num(ratio_or_nan(*parts))
    linear = ratio_or_nan(p * (1 - p) * total**2, (1 - p) ** 2 * hit + p**2 * (both - hit))
    kish = np.nan_to_num(ratio_or_nan(total**2, both))
    return np.where(np.isnan(linear) | (linear <= 0), kish, linear)


def percentiles(draws: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Percentile interval along the first axis; NaN where no replicate is defined."""
    if not len(draws):
        empty = np.full(draws.shape[1:], np.nan)
        return empty, empty
    defined = ~np.isnan(draws).all(axis=0)
    tail = (1 - level) / 2
    quantiles = np.quantile if not np.isnan(draws).any() else np.nanquantile
    low, high = quantiles(np.where(defined, draws, 0.0), [tail, 1 - tail], axis=0)
    return np.where(defined, low, np.nan), np.where(defined, high, np.nan)


def _noise(draws: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Standardised deviations of the replicates, or normal ones where these do not vary."""
    count, shape = len(draws), draws.shape[1:]
    normal = normal_noise(shape, count, rng)
    if not count:
        return normal
    centred = np.nan_to_num(draws - skipping_nan("mean", draws, 0))
    spread = np.sqrt((centred**2).mean(axis=0))
    scaled = np.moveaxis(centred / np.where(spread > 0, spread, 1.0), 0, -1)
    return np.where((spread > 0)[..., None], scaled, normal)


def normal_noise(shape: tuple[int, ...], count: int, rng: np.random.Generator) -> FloatArray:
    """Standard normal draws ``(*shape, count)``, each row a permutation of the normal's quantiles.

    Permuted quantiles (Latin hypercube sampling; McKay et al. 1979) have the exact marginals, which
    takes most of the Monte-Carlo error out of the tails.
    """
    quantiles = np.array(_quantiles(count))
    return rng.permuted(np.broadcast_to(quantiles, (*shape, count)), axis=-1)


@lru_cache(maxsize=8)
def _quantiles(count: int) -> tuple[float, ...]:
    normal = NormalDist()
    return tuple(normal.inv_cdf((i + 0.5) / count) for i in range(count))
