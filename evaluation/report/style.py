"""How arms look and how numbers are written, the same in every table and chart."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evaluation.intervals import Interval
from evaluation.records import Arm

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
NBSP = "\N{NARROW NO-BREAK SPACE}"
PALETTE = 6
DASHES = ("", "7 3", "9 3 2 3", "4 4")
DOTTED = "2 3"
MARKS = ("circle", "square", "triangle", "diamond")


@dataclass(frozen=True)
class Look:
    """CSS class, line pattern and mark of an arm: never colour alone."""

    css: str
    dash: str
    mark: str


def looks(arms: tuple[Arm, ...]) -> dict[str, Look]:
    """Give each arm a look; reference arms share the neutral colour and the dotted line."""
    found: dict[str, Look] = {}
    index = 0
    for arm in arms:
        if arm.reference:
            found[arm.name] = Look("ref", DOTTED, "diamond")
            continue
        dash = DASHES[index // len(MARKS) % len(DASHES)]
        found[arm.name] = Look(f"c{index % PALETTE}", dash, MARKS[index % len(MARKS)])
        index += 1
    return found


def percent(value: float, digits: int = 1) -> str:
    """Write a share as a percentage; an en dash when undefined."""
    return DASH if math.isnan(value) else f"{100 * value:.{digits}f}{NBSP}%"


def points(value: float) -> str:
    """Write a signed difference of shares in percentage points."""
    if math.isnan(value):
        return DASH
    shown = f"{abs(100 * value):.1f}"
    return shown if shown == "0.0" else f"{'+' if value > 0 else MINUS}{shown}"


def ends(interval: Interval | None, *, signed: bool = False) -> str:
    """Write the ends of an interval in percent, without the sign %."""
    if interval is None or math.isnan(interval.low):
        return ""
    if signed:
        return f"{points(interval.low)} to {points(interval.high)}"
    return f"{100 * interval.low:.1f}{DASH}{100 * interval.high:.1f}"


def number(value: float, digits: int = 0) -> str:
    """Write a number with thousands apart; an en dash when undefined."""
    return DASH if math.isnan(value) else f"{value:,.{digits}f}".replace(",", NBSP)


def duration(seconds: float) -> str:
    """Write seconds, or minutes and seconds from two minutes on."""
    if seconds < 120:
        return f"{seconds:.0f}{NBSP}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{number(minutes)}{NBSP}min {rest:02d}{NBSP}s"
