"""Metrics of the groups of one cross, with what their uncertainty needs.

All arrays have groups first, then classes (one column unless there are more than two classes). Rows
of suppressed groups are one more group, and at the end stands everyone.

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

    The last group is everyone; before it are the suppressed rows, if there are some.
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
    drawn = np.zeros((0, *rows.shape), np.float64)
    if replicates and rows.sum():
        drawn = resample(rows, replicates, rng).astype(np.float64)
        if weighted:
            mean = weights / np.maximum(rows, 1)
            # `spread` is the standard deviation of a weight in its cell.
            noise = rng.standard_normal(drawn.shape) * np.sqrt(drawn) * spread
            drawn = np.maximum(drawn * mean + noise, 0)
    rows, weights, squares, drawn = (
        np.concatenate([own, pool_groups(own)], axis=-3) for own in (rows, weights, squares, drawn)
    )
    return Cells(rows, weights, squares, int(kept.sum()), weighted, drawn)


@dataclass(frozen=True, eq=False)
class Measured:
    """One metric over groups, the last of them everyone, with its sampling errors.

    Arrays have shape ``(groups, classes)`` unless something else is said; NaN where undefined.
    """

    values: FloatArray
    rows: IntArray  # of the denominators
    n: IntArray  # ``(groups,)``: rows that the metric rests on, whichever its class
    # ``(groups, parts)``: rates whose mean is the metric, or else the metric itself: what may lack
    # a denominator
    made_of: FloatArray
    low: FloatArray  # ends of an interval
    high: FloatArray
    # effective rows where it is a proportion, or F1 made of one; without everyone
    size: FloatArray | None
    # of each group in the overall denominator, 0 where it is no proportion; without everyone
    share: FloatArray
    spread: FloatArray  # standard errors where it is no proportion
    noise: FloatArray  # ``(groups, classes, draws)``: standardised errors, independent over groups
    compared: int  # groups that are compared: the first ones
    draws: FloatArray  # ``(draws, groups, classes)``: the metric in bootstrap replicates
    top: float = 1.0  # largest value that the metric can have
    jaccard: bool = False  # it is F1: `size`, `share` and noise are of its Jaccard index


def measure(metric: ByGroup, cells: Cells, level: float, seed: Iterable[int]) -> Measured:
    """Apply a metric by group to the counts of a cross and to their replicates."""
    values, draws = metric.values(cells.weights), metric.values(cells.replicates)
    total = cells.rows.sum(axis=(1, 2))
    jaccard, simple = metric.name == "f1", values.shape[1] == 1
    size, share, made_of = None, np.zeros_like(values[:-1]), values
    rows = np.broadcast_to(total[:, None], values.shape).astype(np.int64)
    spread = np.full(values.shape, np.nan)
    if metric.name == "balanced_accuracy":
        made_of = ratio_or_nan(*recall_parts(cells.weights))
        spread = _mean_errors(cells)
    else:
        of = jaccard_parts if jaccard else metric.parts
        hits, whole = (part[:-1] for part in of(cells.weights))
        size = effective_size((hits, whole), of(cells.squares[:-1]))
        share = np.nan_to_num(ratio_or_nan(whole, whole.sum(axis=0)))
        if metric.proportion:
            rows = metric.parts(cells.rows)[1].astype(np.int64)
    low, high = _limits(metric, cells.weights, cells.squares, level)
    noise = normal_noise(values.shape, len(draws), np.random.default_rng(list(seed)))
    if not simple and len(draws):
        # Of one class the normal's quantiles; several share rows, as replicates know.
        noise[:-1] = _noise(jaccard_of_f1(draws) if jaccard else draws, noise)[:-1]
    return Measured(
        values=values,
        rows=rows,
        n=rows[:, 0] if simple else total,
        made_of=made_of,
        low=low,
        high=high,
        size=size,
        share=share,
        spread=spread,
        noise=noise,
        compared=cells.compared,
        draws=draws,
        jaccard=jaccard,
    )


def complement(part: Measured) -> Measured:
    """One less a metric, with the same sampling errors: error rate for accuracy, and the like."""
    return replace(
        part,
        values=1 - part.values,
        made_of=1 - part.made_of,
        low=1 - part.high,
        high=1 - part.low,
        noise=-part.noise,
        draws=1 - part.draws,
    )


def proportion_errors(p: FloatArray, size: FloatArray) -> FloatArray:
    """Standard errors of proportions, one row of each outcome added (Agresti & Caffo 2000)."""
    added = (p * size + 1) / (size + 2)
    return np.sqrt(added * (1 - added) / np.where(size > 0, size, np.nan))


def _mean_errors(cells: Cells) -> FloatArray:
    """Standard errors of a mean of recalls, ``(groups, 1)``."""
    parts = recall_parts(cells.weights)
    size = effective_size(parts, recall_parts(cells.squares))
    each = proportion_errors(ratio_or_nan(*parts), size)
    classes = np.asarray((~np.isnan(each)).sum(axis=-1, keepdims=True), np.float64)
    return ratio_or_nan(np.sqrt(np.nansum(each**2, axis=-1, keepdims=True)), classes)


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


def _noise(draws: FloatArray, normal: FloatArray) -> FloatArray:
    """Standardised deviations of the replicates, or normal ones where these do not vary."""
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
