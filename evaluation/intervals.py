"""Intervals: what one is, and Wilson's of a proportion. Of metrics: `evaluation.bootstrap`."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import InputError
from evaluation.rates import FloatArray

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A value and its interval.

    Parameters
    ----------
    value : float
        The estimate from the data itself; NaN when undefined.
    low, high : float
        Ends of the interval; NaN when no replicate was defined.
    n : int
        Rows it rests on.
    level : float
        Confidence level, in (0, 1).
    replicates : int
        Bootstrap replicates drawn (0 for a closed formula).
    undefined : float
        Share of the replicates in which the metric was undefined (a group vanished), in [0, 1]; the
        interval is over the others.
    """

    value: float
    low: float
    high: float
    n: int
    level: float = LEVEL
    replicates: int = 0
    undefined: float = 0.0

    @property
    def defined(self) -> bool:
        """Whether there is a value at all."""
        return not np.isnan(self.value)


def wilson_interval(successes: int, n: int, level: float = LEVEL) -> Interval:
    """Wilson score interval of a proportion (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Parameters
    ----------
    successes, n : int
        ``0 <= successes <= n``; n = 0 gives NaN with the interval [0, 1].
    level : float
        Confidence level, in (0, 1).

    Raises
    ------
    InputError
        If the numbers are out of range.
    """
    check_level(level)
    if not 0 <= successes <= n:
        raise InputError(f"expected 0 <= successes <= n, got successes {successes}, n {n}")
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0, 0, level)
    p = successes / n
    low, high = (float(end) for end in wilson_limits(np.array(p), np.array(n), level))
    return Interval(p, low, high, int(n), level)


def wilson_limits(
    rates: FloatArray, sizes: NDArray[np.number], level: float = LEVEL
) -> tuple[FloatArray, FloatArray]:
    """Ends of the Wilson score intervals of many proportions at once.

    They rest on `sizes` (effective) rows; NaN or 0 rows give NaN.
    """
    check_level(level)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    n = np.where(sizes > 0, sizes, np.nan)
    scale = 1 + z * z / n
    centre = (rates + z * z / (2 * n)) / scale
    half = z / scale * np.sqrt(rates * (1 - rates) / n + z * z / (4 * n * n))
    low = np.where(rates <= 0, 0.0, np.maximum(0.0, centre - half))
    high = np.where(rates >= 1, 1.0, np.minimum(1.0, centre + half))
    return np.where(np.isnan(centre), np.nan, low), np.where(np.isnan(centre), np.nan, high)


def check_level(level: float) -> None:
    """Refuse a confidence level that is not between 0 and 1."""
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")
