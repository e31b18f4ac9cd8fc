"""The largest studentised difference of any two of many values, without looking at every pair.

With `k` values there are about ``k²/2`` pairs in every replicate: of 1,600 groups over a billion.
But no pair's ratio ``|d_i - d_j| / s_ij`` can be large unless one of its two deviations is: by
Cauchy and Schwarz its square is at most ``(z_i² + z_j²) / (1 - κ)``, where ``z = d / s`` of one
value and κ the largest share ``2 c_ij / (v_i + v_j)`` that a covariance has. So in each replicate
only the values that lie farthest out are paired, as many as it takes to rule out all others.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaluation.rates import FloatArray, ratio_or_nan

FIRST = 32
"""Values that are paired at first; twice as many where that does not settle a replicate."""
CELLS = 2_000_000
"""Pairs that are held at once."""
TIE = 1e-12
"""Share of a variance below which a difference is only rounding."""


def pair_scales(deviation: FloatArray) -> FloatArray:
    """Root mean square of the differences of all pairs.

    Parameters
    ----------
    deviation : ndarray, shape (replicates, values)
        Deviations; a value that is NaN in a replicate does not deviate from any in it.

    Returns
    -------
    ndarray, shape (values, values)
    """
    known = (~np.isnan(deviation)).astype(np.float64)
    d = np.nan_to_num(deviation)
    squares = (d**2).T @ known
    both = squares + squares.T
    scale = both - 2 * d.T @ d
    return np.asarray(np.sqrt(np.where(scale > TIE * both, scale, 0.0) / len(d)))


def largest_ratios(deviation: FloatArray, scales: FloatArray) -> FloatArray:
    """The largest ``|difference| / scale`` of any pair in each replicate, shape ``(replicates,)``.

    Parameters
    ----------
    deviation, scales
        As in `pair_scales`, and its result.
    """
    replicates, k = deviation.shape
    own = (np.nan_to_num(deviation) ** 2).sum(axis=0) / replicates
    z = np.nan_to_num(ratio_or_nan(np.nan_to_num(deviation) ** 2, own))
    both = own[:, None] + own
    apart = np.where(scales > 0, ratio_or_nan(scales**2, both), 1.0)
    least = float(apart.min())
    found, left, size = np.zeros(replicates), np.arange(replicates), min(FIRST, k)
    while left.size:
        order = np.argpartition(-z[left], size - 1, axis=1)
        inner, outer = order[:, :size], order[:, size:]
        for some in _chunks(len(left), size):
            found[left[some]] = _among(deviation[left[some]], inner[some], scales)
        if size == k:
            break
        rest = np.take_along_axis(z[left], outer, axis=1).max(axis=1)
        open_ = (rest + z[left].max(axis=1)) > found[left] ** 2 * least
        left, size = left[open_], min(2 * size, k)
    return found


def _among(deviation: FloatArray, places: NDArray[np.int64], scales: FloatArray) -> FloatArray:
    """The largest ratio of the pairs of some values, which differ by replicate."""
    own = np.take_along_axis(deviation, places, axis=1)
    differences = np.nan_to_num(np.abs(own[:, :, None] - own[:, None, :]))
    scale = scales[places[:, :, None], places[:, None, :]]
    ratios = np.divide(differences, scale, out=np.zeros_like(differences), where=scale > 0)
    return np.asarray(ratios.max(axis=(1, 2)))


def _chunks(rows: int, size: int) -> Iterator[slice]:
    step = max(1, CELLS // size**2)
    for start in range(0, rows, step):
        yield slice(start, start + step)
