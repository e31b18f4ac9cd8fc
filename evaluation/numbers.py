"""How numbers of each kind are written, and clients called: in tables, on axes, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeGuard

from evaluation.intervals import Interval

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
NBSP = "\N{NARROW NO-BREAK SPACE}"

Unit = Literal["share", "points", "number", "ratio"]
"""Shares are written in percent, their differences in percentage points."""


def defined(value: float | None) -> TypeGuard[float]:
    """Whether there is a number."""
    return value is not None and math.isfinite(value)


def tick(value: float, unit: Unit, digits: int = 3) -> str:
    """Write a number of an axis as briefly as it goes."""
    if unit == "share":
        return f"{100 * value:.{digits}g}{NBSP}%".replace("-", MINUS)
    return f"{100 * value if unit == 'points' else value:.{digits}g}".replace("-", MINUS)


def amount(value: float | None, unit: Unit = "share", digits: int = 1) -> str:
    """Write a number: a share in percent, a ratio to two digits; an en dash where undefined."""
    if not defined(value):
        return DASH
    if unit == "share":
        text = f"{100 * value:.{digits}f}{NBSP}%"
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


def points(value: float | None) -> str:
    """Write a signed difference of shares in percentage points, without that word."""
    return bare_gap(value, signed=True)


def ends(
    low: float | None, high: float | None, unit: Unit = "share", *, signed: bool = False
) -> str:
    """Write an interval without its unit; nothing where there is none."""
    if not defined(low) or not defined(high):
        return ""
    first, last = (bare_gap(end, unit, signed=signed) for end in (low, high))
    return f"{first} to {last}"


def span(
    own: Interval | Mapping[str, Any] | None, unit: Unit = "share", *, signed: bool = False
) -> str:
    """Write the ends of an interval, a record or plain data; nothing where there is none."""
    if own is None:
        return ""
    low, high = (own["low"], own["high"]) if isinstance(own, Mapping) else (own.low, own.high)
    return ends(low, high, unit, signed=signed)


def probability(value: float | None) -> str:
    """Write a p-value."""
    if not defined(value):
        return DASH
    return "<" + NBSP + "0.001" if value < 0.001 else f"{value:.3f}"


def count(value: float | None, digits: int = 0) -> str:
    """Write a number with thousands apart and so many digits after the point."""
    return f"{value:,.{digits}f}".replace(",", NBSP) if defined(value) else DASH


def duration(seconds: float) -> str:
    """Write seconds, or minutes and seconds from two minutes on."""
    if seconds < 120:
        return f"{seconds:.0f}{NBSP}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{count(minutes)}{NBSP}min {rest:02d}{NBSP}s"


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


def called(name: str | int) -> str:
    """A client as tables and sentences name it: a name that is a bare number is no name.

    >>> called("north"), called("3")
    ('north', 'client 3')
    """
    return f"client {name}" if str(name).isdigit() else str(name)


def heading(name: str | int) -> str:
    """The same at the head of a panel or of a line: ``north``, but ``Client 3``."""
    shown = called(name)
    return shown if shown == str(name) else shown.capitalize()
