"""Bootstrap of score histograms: replicates of every metric, and intervals from them.

A bootstrap of rows is a multinomial draw over the cells (group, is it that class, bin). Replicates
use coarser bins: that moves a metric by far less than its own noise, and what it moves it by is
added back. Weights: a drawn row has the mean weight of its cell, so where weights vary within
cells the intervals are a little narrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.histograms import Metric, coarser
from evaluation.audit.outcome import NAN
from evaluation.audit.score_table import ScoreTable
from evaluation.audit.studentised import largest_ratios, pair_scales
from evaluation.bootstrap import resample
from evaluation.rates import FloatArray

COARSE = 128
"""Bins of a replicate at most, where the histogram's number has a divisor between half and this."""
CHUNK = 2_000_000
"""Cells of the replicates that are held at a time."""

Drawn = dict[str, FloatArray]


def bootstrapped(
    table: ScoreTable, metrics: Mapping[str, Metric], replicates: int, seed: int
) -> Drawn:
    """Replicates of metrics of every compared group, then of all rows.

    Parameters
    ----------
    table : ScoreTable
        What to resample.
    metrics : mapping of str to callable
        Of histograms; they may have axes of their own at the end.
    replicates, seed : int
        Number of replicates (at least 1) and seed.

    Returns
    -------
    dict of str to ndarray, shape (replicates, n_groups + 1, ...)
        Shifted by what coarser bins do to the value from the data.
    """
    rows, unit = _coarse(table)
    rng = np.random.default_rng(seed)
    parts = [
        _measured(resample(rows, size, rng) * unit, metrics)
        for size in _chunks(replicates, rows.size)
    ]
    fine = _measured(table.weights[None], metrics)
    coarse = _measured((rows * unit)[None], metrics)
    return {
        name: np.concatenate([part[name] for part in parts]) + (fine[name] - coarse[name])
        for name in metrics
    }


def alike(table: ScoreTable, metrics: Mapping[str, Metric], replicates: int, seed: int) -> Drawn:
    """Replicates in which scores have nothing to do with the group: metrics of compared groups.

    Every group keeps its rows of the class and not of the class, and draws their scores from those
    of all compared groups (with their mean weight): the counterpart of
    `evaluation.bootstrap.chance_gaps`.

    Returns
    -------
    dict of str to ndarray, shape (replicates, n_groups)
    """
    rows, unit = _coarse(table)
    rows, weights = rows[:-1], (rows * unit)[:-1].sum(axis=0)
    pooled = rows.sum(axis=0)
    totals = pooled.sum(axis=-1, keepdims=True)
    # A kind without rows is never drawn from; any valid probabilities will do.
    chances = np.where(totals > 0, pooled / np.maximum(totals, 1), 1 / pooled.shape[-1])
    mean = weights / np.maximum(pooled, 1)
    rng = np.random.default_rng(seed)
    sizes = rows.sum(axis=-1)
    found = []
    for size in _chunks(replicates, rows.size):
        drawn = rng.multinomial(sizes, chances, size=(size, *sizes.shape)) * mean
        found.append({name: metric(drawn) for name, metric in metrics.items()})
    return {name: np.concatenate([part[name] for part in found]) for name in metrics}


def interval(value: float, drawn: FloatArray, level: float) -> tuple[float, float]:
    """Interval of a metric in [0, 1] from its replicates.

    The hull of the percentiles and of the normal interval on the logit scale with the replicates'
    standard deviation: near 0 and 1 and with few rows the percentiles alone cover too little.

    Parameters
    ----------
    value : float
        From the data.
    drawn : ndarray, shape (replicates,)
        NaN where undefined: those take no part.
    level : float
        Confidence level, in (0, 1).

    Returns
    -------
    (float, float)
        NaN if no replicate is defined.
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
    """Interval of the largest difference between any two of several values.

    All pairwise differences get intervals ``d ± c s`` that hold at once: `s` is the bootstrap's
    root mean square deviation of the pair, `c` the quantile of the largest ``|deviation| / s`` over
    the pairs (the bootstrapped studentised range; Romano & Wolf 2005,
    doi:10.1198/016214504000000539, section 4). The largest difference then lies between the largest
    lower and the largest upper end. Unlike percentiles of the gap itself, which resampling pushes
    outwards, it reaches down to 0 where there is no gap; over many groups it is cautious.

    Parameters
    ----------
    values : ndarray, shape (n_groups,)
        Of the groups; those that are NaN take no part.
    drawn : ndarray, shape (replicates, n_groups)
        Their replicates.
    level : float
        Confidence level, in (0, 1).

    Returns
    -------
    (float, float)
        Within [0, 1]; NaN with fewer than two values.
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


def _coarse(table: ScoreTable) -> tuple[NDArray[np.int64], FloatArray]:
    """Rows in coarser bins, and the weight of one row of each cell."""
    bins = _coarse_bins(table.rows.shape[-1])
    rows = np.asarray(coarser(table.rows, bins), np.int64)
    weights = np.asarray(coarser(table.weights, bins), np.float64)
    return rows, weights / np.maximum(rows, 1)


def _coarse_bins(bins: int) -> int:
    fitting = [n for n in range(COARSE // 2, COARSE + 1) if bins % n == 0]
    return max(fitting, default=bins) if bins > COARSE else bins


def _measured(histograms: FloatArray, metrics: Mapping[str, Metric]) -> Drawn:
    """Metrics of all but the last group, which holds the small ones, and of all together."""
    overall = histograms.sum(axis=1, keepdims=True)
    shown = np.concatenate([histograms[:, :-1], overall], axis=1)
    return {name: metric(shown) for name, metric in metrics.items()}


def _chunks(replicates: int, cells: int) -> Iterator[int]:
    size = max(1, CHUNK // max(cells, 1))
    for start in range(0, replicates, size):
        yield min(size, replicates - start)
