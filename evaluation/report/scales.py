"""Axes with round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from evaluation.numbers import Unit, defined, tick


@dataclass(frozen=True)
class Scale:
    """A linear axis from `low` to `high`, which is more, with round numbers as ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]
    unit: Unit = "share"

    def part(self, value: float) -> float:
        """Where a value lies, from 0 (low) to 1 (high); values outside are put at the ends."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def label(self, value: float) -> str:
        """A tick in words, with as many digits as tell it from its neighbours."""
        step = min((b - a for a, b in pairwise(self.ticks)), default=0.0)
        size = max(abs(self.low), abs(self.high))
        digits = math.ceil(math.log10(size / step)) + 1 if step > 0 and size > 0 else 3
        return tick(value, self.unit, max(3, digits))


def nice_scale(
    values: Iterable[float | None],
    unit: Unit = "share",
    *,
    most: int = 5,
    zero: bool = False,
    limit: tuple[float, float] | None = None,
) -> Scale:
    """An axis from one round number to another that holds all values; None and NaN are left out.

    It has about `most` ticks at most, 0 on it if `zero`, and does not go beyond `limit`.
    """
    known = [v for v in values if defined(v)] or [0.0, 1.0]
    if zero:
        known.append(0.0)
    low, high = min(known), max(known)
    size = max(abs(low), abs(high)) if unit == "number" else 1.0
    if high - low <= 1e-12 * size:
        reach = 0.05 * (size or 1.0)
        low, high = low - reach, high + reach
    step = _step((high - low) / most)
    start, end = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    if limit is not None:
        start, end = max(start, limit[0]), min(end, limit[1])
    count, places = round((end - start) / step), 3 - math.floor(math.log10(step))
    ticks = tuple(round(start + i * step, places) for i in range(count + 1))
    return Scale(start, max(end, start + step), ticks, unit)


def _step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
