"""Bootstrap intervals from counts.

A bootstrap of rows is *exactly* a multinomial draw over the cells of the confusion counts (rows in
the same cell are interchangeable), so 1,000 replicates cost a few milliseconds and need no rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from evaluation.errors import InputError
from evaluation.intervals import LEVEL, Interval, check_level
from evaluation.rates import CountArray, FloatArray

REPLICATES = 1000
Kind = Literal["percentile", "hull"]
KIND_ERROR = "kind must be 'percentile' or 'hull', got {!r}"
EXTREME_SHIFT = 1 + 2**0.5
"""By how much an extreme is off, at most, relative to how far resampling moves it.

Resampling doubles the variance between groups that are alike. If their extreme is c standard errors
off, that of the replicates is c times the root of 2 off: it is moved by c times (root of 2 less 1).
"""


def resample(counts: CountArray, replicates: int, rng: np.random.Generator) -> CountArray:
    """Draw bootstrap replicates of the rows behind counts of any shape: ``(replicates, *shape)``.

    Each sums to the total of the counts; all are zero if there are no rows.
    """
    array = np.asarray(counts, dtype=np.int64)
    if replicates < 1:
        raise InputError(f"replicates must be at least 1, got {replicates}")
    if array.size and array.min() < 0:
        raise InputError("counts must not be negative")
    total = int(array.sum())
    shape = (replicates, *array.shape)
    if total == 0:
        return np.zeros(shape, dtype=np.int64)
    # Empty cells stay empty; drawing over the others alone is the same distribution and faster.
    flat = array.ravel()
    filled = np.flatnonzero(flat)
    drawn = np.zeros((replicates, flat.size), dtype=np.int64)
    drawn[:, filled] = rng.multinomial(total, flat[filled] / total, size=replicates)
    return drawn.reshape(shape)


def bootstrap_intervals(
    counts: CountArray,
    functions: Mapping[str, Callable[[CountArray], FloatArray]],
    *,
    replicates: int = REPLICATES,
    level: float = LEVEL,
    seed: int = 0,
    kind: Kind = "percentile",
) -> dict[str, Interval]:
    """Bootstrap intervals of several metrics from the same replicates.

    Parameters
    ----------
    counts : ndarray of int, shape (n_groups, n_classes, n_classes)
        Confusion counts.
    functions : mapping of str to callable
        Metrics of ``(..., n_groups, n_classes, n_classes)`` counts, vectorised over batch axes.
    replicates, level, seed : int, float, int
        Number of replicates, confidence level in (0, 1), seed of the generator.
    kind : {"percentile", "hull"}
        The percentiles, or the hull of the percentile and the basic (reverse percentile) interval
        ``2 value - percentile`` (Davison & Hinkley 1997, section 5.2), clipped to [0, 1].

    Notes
    -----
    A gap is a maximum over groups (a worst group a minimum), so resampling pushes it further out:
    its percentiles lie too high (too low), at times beyond the value itself, and near a gap of 0
    they never cover the truth. The hull is the cautious choice for gaps and worst cases: 85 to 97 %
    coverage in simulations with four groups of 50 to 500 rows and two classes. Averaged over many
    classes with few rows each, even an honest model shows a gap: see
    `evaluation.audit.null.chance_gaps`.
    """
    check_level(level)
    array = np.asarray(counts, dtype=np.int64)
    drawn = resample(array, replicates, np.random.default_rng(seed))
    n = int(array.sum())
    return {
        name: _interval(float(function(array)), function(drawn), n, level, kind)
        for name, function in functions.items()
    }


def difference_interval(
    ours: CountArray,
    theirs: CountArray,
    function: Callable[[CountArray], FloatArray],
    *,
    replicates: int = REPLICATES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of ``function(ours) - function(theirs)``, the two drawn independently.

    Parameters
    ----------
    ours, theirs : ndarray of int, shape (n_groups, n_classes, n_classes)
        Confusion counts.
    function : callable
        A metric in [0, 1] of ``(..., n_groups, n_classes, n_classes)`` counts.
    replicates, level, seed
        As in `bootstrap_intervals`.

    Notes
    -----
    A gap or a worst case is an extreme over groups, whose estimate lies too far out: by nothing
    where one group is far from the others, up to `EXTREME_SHIFT` times as far as resampling moves
    it where all are alike. The two metrics need not err alike, so the interval adds to the spread
    of the drawn differences the shift of either, as far as [0, 1] has room; it is never narrower
    than the percentiles. Resampling does not move a mean. Measured coverage: docs/report.md.

    Two models tested on the same rows usually err on the same rows; counts do not know, so the
    interval of a mean is wider than a paired one. ``n`` is the smaller of the two totals.
    """
    check_level(level)
    a, b = np.asarray(ours, dtype=np.int64), np.asarray(theirs, dtype=np.int64)
    rng = np.random.default_rng(seed)
    drawn = np.stack([function(resample(counts, replicates, rng)) for counts in (a, b)])
    values = np.array([float(function(a)), float(function(b))])
    change, changes = float(values[0] - values[1]), drawn[0] - drawn[1]
    found = _interval(change, changes, int(min(a.sum(), b.sum())), level, "percentile")
    if np.isnan(found.low):
        return found
    defined = ~np.isnan(changes)
    moved = drawn[:, defined].mean(axis=1) - values
    shifts = (values - np.clip(values - EXTREME_SHIFT * moved, 0, 1)) * [1, -1]
    spread = changes[defined] - np.median(changes[defined])
    below, above = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])
    low = change - float(np.maximum(shifts, 0).sum() - below)
    high = change + float(np.maximum(-shifts, 0).sum() + above)
    return replace(found, low=max(-1.0, min(found.low, low)), high=min(1.0, max(found.high, high)))


def _interval(value: float, drawn: FloatArray, n: int, level: float, kind: Kind) -> Interval:
    if kind not in ("percentile", "hull"):
        raise InputError(KIND_ERROR.format(kind))
    defined = drawn[~np.isnan(drawn)]
    undefined = 1.0 - defined.size / drawn.size
    if np.isnan(value) or defined.size == 0:
        return Interval(value, float("nan"), float("nan"), n, level, drawn.size, undefined)
    tail = (1 - level) / 2
    low, high = (float(end) for end in np.quantile(defined, [tail, 1 - tail]))
    if kind == "hull":
        basic = (max(0.0, 2 * value - high), min(1.0, 2 * value - low))
        low, high = min(low, basic[0]), max(high, basic[1])
    return Interval(value, low, high, n, level, drawn.size, undefined)
