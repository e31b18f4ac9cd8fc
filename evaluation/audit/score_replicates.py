"""Bootstrap of score histograms: replicates of every metric, and intervals from them.

A bootstrap of rows is a multinomial draw over the cells (group, is it that class, score). For
replicates neighbouring scores of a group are merged, so that none of the cells that this makes
holds more than a hundredth or so of its rows, unless it is one score: that moves a metric by far
less than its own noise, wherever the scores lie, and what it moves it by is added back. Weights: a
drawn row has the mean weight of its cell, so where weights vary within cells the intervals are a
little narrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.histograms import CALIBRATION_BINS, Metric, Sums, place, points
from evaluation.audit.outcome import NAN
from evaluation.audit.score_table import Histogram, ScoreTable
from evaluation.audit.sparse import IntArray
from evaluation.audit.studentised import largest_ratios, pair_scales
from evaluation.rates import FloatArray

FEW = 8
"""Rows to a cell up to which one by one is faster."""
LISTED = 2**20
"""Rows of which each has its cell listed; of more, the cell is searched for."""
CELLS = 128
"""Cells that are left, and a few more: none lies across the edge of two calibration bins."""
CHUNK = 100_000
"""Cells of the replicates that are held at a time: few enough for the processor's cache."""
Drawn = dict[str, FloatArray]


def few(rows: IntArray | int, cells: int) -> NDArray[np.bool_]:
    """Whether so many rows, drawn over so many cells, are drawn one by one."""
    return np.asarray(rows <= FEW * cells)


def drawn_rows(rows: IntArray, sizes: IntArray, rng: np.random.Generator) -> IntArray:
    """Draw rows one by one, with replacement: so many of each draw, counted by cell.

    A multinomial draw visits every cell, however few rows fall into it. So where there are few rows
    to a cell they are drawn one by one: the distribution is the same, and the time that of the
    rows. `sizes` may have any shape; ``(..., cells)`` is returned.
    """
    cells, total = len(rows), int(rows.sum())
    which = rng.integers(max(total, 1), size=int(sizes.sum()))
    if total <= LISTED:
        found = np.repeat(np.arange(cells), rows)[which]
    else:
        found = np.searchsorted(np.cumsum(rows), which, side="right")
    found += np.repeat(np.arange(sizes.size) * cells, sizes.ravel())
    return np.bincount(found, minlength=sizes.size * cells).reshape(*sizes.shape, cells)


def merged(histogram: Histogram) -> Histogram:
    """Merge neighbouring cells until there are about `CELLS`, of about equally many rows.

    A row counts by its share of its kind, so that few rows of the class are told apart as well as
    many that are not. A merged cell stands for the mean score of its rows.
    """
    rows, centre = histogram.rows, histogram.grid.centre
    shares = (rows / np.maximum(rows.sum(axis=-1, keepdims=True), 1)).sum(axis=0)
    middle = (np.cumsum(shares) - shares / 2) / shares.sum()
    label = place(middle, CELLS) * CALIBRATION_BINS + place(centre, CALIBRATION_BINS)
    starts = np.flatnonzero(np.diff(label, prepend=-1))
    few, weights = (np.add.reduceat(own, starts, axis=-1) for own in (rows, histogram.weights))
    mean = np.add.reduceat(rows.sum(axis=0) * centre, starts) / few.sum(axis=0)
    # Rounding must not carry it out of its calibration bin.
    last = np.append(starts[1:], len(centre)) - 1
    return Histogram(points(np.clip(mean, centre[starts], centre[last])), few, weights)


def bootstrapped(
    table: ScoreTable, metrics: Mapping[str, Metric], replicates: int, seed: int
) -> Drawn:
    """Replicates of metrics of every compared group, then of all rows, by name.

    Shape ``(replicates, n_groups + 1, ...)``: metrics may have axes of their own at the end.
    Shifted by what merged scores do to the value from the data.
    """
    rng = np.random.default_rng(seed)
    n, sizes = table.overall.n, [own.n for own in table.compared]
    # A replicate's rows fall to the groups at random; the last are those too small to compare.
    drawn = rng.multinomial(n, np.array([*sizes, n - sum(sizes)]) / n, size=replicates)
    drawn[:, -1] = n
    found = [
        _replicates(own, drawn[:, i], metrics, rng)
        for i, own in enumerate((*table.compared, table.overall))
    ]
    return {name: np.stack([own[name] for own in found], axis=1) for name in metrics}


def alike(table: ScoreTable, metrics: Mapping[str, Metric], replicates: int, seed: int) -> Drawn:
    """Replicates in which scores have nothing to do with the group: metrics of compared groups.

    Every group keeps its rows of the class and not of the class, and draws their scores from those
    of all compared groups (with their mean weight): the counterpart of
    `evaluation.audit.null.permuted`. Shape ``(replicates, n_groups)``.
    """
    pooled = merged(table.pooled)
    rng = np.random.default_rng(seed)
    sizes = np.array([own.rows.sum(axis=-1) for own in table.compared])
    found = []
    for chunk in _chunks(replicates, len(sizes) * pooled.rows.size):
        drawn = _by_kind(pooled.rows, sizes, chunk.stop - chunk.start, rng)
        weights = drawn * pooled.mean_weights
        sums = Sums(weights, pooled.grid)
        found.append({name: metric(sums) for name, metric in metrics.items()})
    return {name: np.concatenate([part[name] for part in found]) for name in metrics}


def interval(value: float, drawn: FloatArray, level: float) -> tuple[float, float]:
    """Interval of a metric in [0, 1] from its replicates; NaN if none of them is defined.

    The hull of the percentiles and of the normal interval on the logit scale with the replicates'
    standard deviation: near 0 and 1 and with few rows the percentiles alone cover too little.
    """
    defined = drawn[~np.isnan(drawn)]
    if not defined.size:
        return NAN, NAN
    low, high = (float(end) for end in np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]))
    if not 0 < value < 1:
        return low, high
    scale = float(defined.std()) / (value * (1 - value))
    middle, reach = math.log(value / (1 - value)), NormalDist().inv_cdf((1 + level) / 2) * scale
    return min(low, _expit(middle - reach)), max(high, _expit(middle + reach))


def _expit(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))


def gap_interval(values: FloatArray, drawn: FloatArray, level: float) -> tuple[float, float]:
    """Interval of the largest difference between any two of several values, within [0, 1].

    All pairwise differences get intervals ``d ± c s`` that hold at once: `s` is the bootstrap's
    root mean square deviation of the pair, `c` the quantile of the largest ``|deviation| / s`` over
    the pairs (the bootstrapped studentised range; Romano & Wolf 2005,
    doi:10.1198/016214504000000539, section 4). The largest difference then lies between the largest
    lower and the largest upper end. Unlike percentiles of the gap itself, which resampling pushes
    outwards, it reaches down to 0 where there is no gap; over many groups it is cautious.

    Values that are NaN take no part; NaN with fewer than two others. `drawn` are their replicates,
    ``(replicates, n_groups)``.
    """
    measured = ~np.isnan(values)
    values, deviation = values[measured], (drawn - values)[:, measured]
    if len(values) < 2:
        return NAN, NAN
    scales = pair_scales(deviation)
    reach = float(np.quantile(largest_ratios(deviation, scales), level))
    differences = np.abs(values[:, None] - values)
    low = max(0.0, float((differences - reach * scales).max()))
    high = float((differences + reach * scales).max())
    return low, min(1.0, high)


def _by_kind(
    rows: IntArray, sizes: IntArray, replicates: int, rng: np.random.Generator
) -> IntArray:
    """Draw of rows ``(2, k)`` so many ``(n_groups, 2)`` of each kind, for every replicate."""
    drawn = np.zeros((replicates, len(sizes), *rows.shape), np.int64)
    small = few(sizes.sum(axis=-1), rows.size)
    totals = rows.sum(axis=-1, keepdims=True)
    # A kind without rows is never drawn from; any valid probabilities will do.
    chances = np.where(totals > 0, rows / np.maximum(totals, 1), 1 / rows.shape[-1])
    large = sizes[~small]
    drawn[:, ~small] = rng.multinomial(large, chances, size=(replicates, *large.shape))
    for kind, own in enumerate(rows):
        each = np.broadcast_to(sizes[small, kind], (replicates, int(small.sum())))
        drawn[:, small, kind] = drawn_rows(own, each, rng)
    return drawn


def _replicates(
    histogram: Histogram, sizes: IntArray, metrics: Mapping[str, Metric], rng: np.random.Generator
) -> Drawn:
    """Metrics of replicates of so many rows each."""
    own = merged(histogram)
    flat, parts = own.rows.ravel(), []
    for chunk in _chunks(len(sizes), flat.size):
        if few(own.n, flat.size):
            rows = drawn_rows(flat, sizes[chunk], rng)
        else:
            rows = rng.multinomial(sizes[chunk], flat / own.n)
        weights = rows.reshape(-1, *own.rows.shape) * own.mean_weights
        sums = Sums(weights, own.grid)
        parts.append({name: metric(sums) for name, metric in metrics.items()})
    found = {}
    whole, shorter = Sums(histogram.weights, histogram.grid), Sums(own.weights, own.grid)
    for name, metric in metrics.items():
        shift = metric(whole) - metric(shorter)
        found[name] = np.concatenate([part[name] for part in parts]) + shift
    return found


def _chunks(replicates: int, cells: int) -> Iterator[slice]:
    size = max(1, CHUNK // max(cells, 1))
    for start in range(0, replicates, size):
        yield slice(start, min(start + size, replicates))
