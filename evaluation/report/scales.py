"""Axes with round numbers, and how numbers of each kind are written on them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeGuard

from evaluation.report.style import DASH, MINUS, NBSP

Unit = Literal["share", "points", "number", "ratio"]
"""Shares are written in percent, their differences in percentage points."""


@dataclass(frozen=True)
class Scale:
    """A linear axis.

    Parameters
    ----------
    low, high : float
        Its ends, ``low < high``.
    ticks : tuple of float
        Round numbers on it.
    unit : {"share", "points", "number", "ratio"}
        How its numbers are written.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    unit: Unit = "share"

    def part(self, value: float) -> float:
        """Where a value lies, from 0 (low) to 1 (high); values outside are put at the ends."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def label(self, value: float) -> str:
        """A tick in words."""
        return tick(value, self.unit)


def nice_scale(
    values: Iterable[float | None],
    unit: Unit = "share",
    *,
    most: int = 5,
    zero: bool = False,
    limit: tuple[float, float] | None = None,
) -> Scale:
    """An axis from one round number to another that holds all values.

    Parameters
    ----------
    values : iterable of float or None
        What has to fit; None and NaN are left out.
    unit : {"share", "points", "number", "ratio"}
        How its numbers are written.
    most : int
        Ticks at most, about.
    zero : bool
        Whether 0 has to be on it.
    limit : (float, float), optional
        Ends beyond which the axis does not go.
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


def defined(value: float | None) -> TypeGuard[float]:
    """Whether there is a number."""
    return value is not None and math.isfinite(value)


def tick(value: float, unit: Unit) -> str:
    """Write a number of an axis as briefly as it goes."""
    if unit == "share":
        return f"{100 * value:.3g}{NBSP}%".replace("-", MINUS)
    return f"{100 * value if unit == 'points' else value:.3g}".replace("-", MINUS)


def amount(value: float | None, unit: Unit = "share") -> str:
    """Write a number: a share in percent, a ratio to two digits; an en dash where undefined."""
    if not defined(value):
        return DASH
    if unit == "share":
        text = f"{100 * value:.1f}{NBSP}%"
    elif unit == "ratio":
        text = f"{value:.2f}"
    else:
        text = number(value)
    return text.replace("-", MINUS)


def gap(value: float | None, unit: Unit = "share", *, signed: bool = False) -> str:
    """Write a difference: of shares as ``12.3 points``, of other numbers as it is."""
    text = bare_gap(value, unit, signed=signed)
    return text if text == DASH or unit != "share" else f"{text} points"


def bare_gap(value: float | None, unit: Unit = "share", *, signed: bool = False) -> str:
    """Write a difference without the word ``points``, for a column that is headed by it."""
    if not defined(value):
        return DASH
    text = f"{abs(100 * value):.1f}" if unit == "share" else amount(abs(value), unit)
    if not text.strip("0.,"):
        return text
    return ("+" if signed and value > 0 else MINUS if value < 0 else "") + text


def ends(
    low: float | None, high: float | None, unit: Unit = "share", *, signed: bool = False
) -> str:
    """Write an interval without its unit; nothing where there is none."""
    if not defined(low) or not defined(high):
        return ""

    first, last = (bare_gap(end, unit, signed=signed) for end in (low, high))
    return f"{first} to {last}"


def probability(value: float | None) -> str:
    """Write a p-value."""
    if not defined(value):
        return DASH
    return "<" + NBSP + "0.001" if value < 0.001 else f"{value:.3f}"


def count(value: int | float | None) -> str:
    """Write a count with thousands apart."""
    if value is None:
        return DASH
    return f"{value:,.0f}".replace(",", NBSP)


def number(value: float) -> str:
    """Write a number of any size to three digits; whole ones from 1,000."""
    size = abs(value)
    if size == 0:
        return "0"
    if not 1e-4 <= size < 1e9:
        return f"{value:.2e}"
    if size >= 1000:
        return f"{value:,.0f}".replace(",", NBSP)
    return f"{value:.{max(0, 2 - math.floor(math.log10(size)))}f}"
