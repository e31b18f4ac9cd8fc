"""The largest studentised difference of any two of many values, without looking at every pair.

With `k` values there are about ``k²/2`` pairs in every replicate: of 1,600 groups over a billion.
But a ratio ``(d_i - d_j) / s_ij`` cannot be large unless `d_i` lies far above its mean `b_i` or
`d_j` far below its own. By Cauchy and Schwarz its square is at most ``(1 + z_i² + z_j²) / λ``: z is
that distance in standard deviations of one value (0 if it lies on the other side), and λ the least
``s_ij² / ((b_i - b_j)² + v_i + v_j)``, below 1 only by what values vary together. So in each
replicate only the values farthest up are paired with those farthest down, as many as it takes to
rule out all others.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaluation.rates import FloatArray, ratio_or_nan

FIRST = 16
"""Values of either end that are paired at first; twice as many where that settles nothing."""
CELLS = 2_000_000
"""Pairs that are held at once."""
TIE = 1e-12
"""Share of a variance below which a difference is only rounding."""


def pair_scales(deviation: FloatArray) -> FloatArray:
    """Root mean square of the differences of all pairs, shape ``(values, values)``.

    `deviation` is ``(replicates, values)``; one that is NaN does not deviate from any in it.
    """
    known = (~np.isnan(deviation)).astype(np.float64)
    d = np.nan_to_num(deviation)
    squares = (d**2).T @ known
    both = squares + squares.T
    scale = both - 2 * d.T @ d
    return np.asarray(np.sqrt(np.where(scale > TIE * both, scale, 0.0) / len(d)))


def largest_ratios(deviation: FloatArray, scales: FloatArray) -> FloatArray:
    """The largest ``|difference| / scale`` of any pair in each replicate, ``(replicates,)``."""
    replicates, k = deviation.shape
    known = ~np.isnan(deviation)
    mean = np.nansum(deviation, axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, deviation - mean, 0.0)
    own = (centred**2).mean(axis=0)
    both = (mean[:, None] - mean) ** 2 + own[:, None] + own
    shares = np.divide(scales**2, both, out=np.ones_like(both), where=(both > 0) & (scales > 0))
    least = float(shares.min())
    z = np.nan_to_num(ratio_or_nan(centred, np.sqrt(own)))
    order = np.argsort(z, axis=1)
    ranked = np.take_along_axis(z, order, axis=1)
    down, up = np.minimum(ranked, 0) ** 2, np.maximum(ranked, 0) ** 2
    found, left, size = np.zeros(replicates), np.arange(replicates), min(FIRST, k)
    while left.size:
        low, high = order[left, :size], order[left, k - size :]
        for some in _chunks(len(left), size):
            found[left[some]] = _between(deviation[left[some]], low[some], high[some], scales)
        if size == k:
            break
        others = np.maximum(up[left, -1] + down[left, size], up[left, k - size - 1] + down[left, 0])
        left = left[1 + others > found[left] ** 2 * least]
        size = min(2 * size, k)
    return found


def _between(
    deviation: FloatArray, low: NDArray[np.intp], high: NDArray[np.intp], scales: FloatArray
) -> FloatArray:
    """The largest ratio of the pairs of some values with others, which differ by replicate."""
    below, above = (np.take_along_axis(deviation, some, axis=1) for some in (low, high))
    differences = np.abs(above[:, :, None] - below[:, None, :])
    scale = scales[high[:, :, None], low[:, None, :]]
    ratios = np.divide(differences, scale, out=np.zeros_like(differences), where=scale > 0)
    # A difference that is not defined is none.
    return np.asarray(np.fmax.reduce(ratios, axis=(1, 2), initial=0.0))


def _chunks(rows: int, size: int) -> Iterator[slice]:
    step = max(1, CELLS // size**2)
    for start in range(0, rows, step):
        yield slice(start, start + step)
