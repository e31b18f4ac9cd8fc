"""Dots with intervals as the cells of a table: the chart is the table, so it sorts and filters.

Positions are percentages of the cell, so a strip is as wide as its cell on a screen, a phone and
paper, and its marks keep their shape.
"""

from __future__ import annotations

from markupsafe import Markup

from evaluation.numbers import defined
from evaluation.report.scales import Scale

MARGIN = 3.0
"""Room at both ends, in percent of the width, so that a dot at an end is whole."""


def strip(
    scale: Scale,
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    *,
    chance: float | None = None,
    rule: float | None = None,
    css: str = "c0",
) -> Markup:
    """Draw one value with its interval; nothing is drawn for what is undefined.

    The axis is shared by all rows of a table. `chance` is the end of the band, from 0, that chance
    alone makes, `rule` a line of reference, such as the overall value.
    """
    parts = [_line(scale, tick, "grid") for tick in scale.ticks]
    if scale.low < 0 < scale.high or scale.low == 0:
        parts.append(_line(scale, 0.0, "axis"))
    if defined(chance):
        start, end = _at(scale, 0.0), _at(scale, chance)
        parts.append(
            f'<rect class="chance" x="{start:.2f}%" width="{max(0.0, end - start):.2f}%" '
            'y="3" height="16"/>'
        )
    if defined(rule):
        parts.append(_line(scale, rule, "rule"))
    if defined(low) and defined(high):
        a, b = _at(scale, low), _at(scale, high)
        parts.append(f'<line class="whisker {css}" x1="{a:.2f}%" x2="{b:.2f}%" y1="11" y2="11"/>')
        for x in (a, b):
            parts.append(
                f'<line class="whisker {css}" x1="{x:.2f}%" x2="{x:.2f}%" y1="7" y2="15"/>'
            )
    if defined(value):
        parts.append(f'<circle class="mark {css}" cx="{_at(scale, value):.2f}%" cy="11" r="5"/>')
    return Markup(f'<svg class="strip" height="22" aria-hidden="true">{"".join(parts)}</svg>')


def bar(scale: Scale, value: float | None, css: str = "c0") -> Markup:
    """Draw a bar from 0 to a value, to either side."""
    parts = [_line(scale, tick, "grid") for tick in scale.ticks]
    parts.append(_line(scale, 0.0, "axis"))
    if defined(value):
        a, b = sorted((_at(scale, 0.0), _at(scale, value)))
        parts.append(
            f'<rect class="bar {css}" x="{a:.2f}%" width="{b - a:.2f}%" y="5" height="12"/>'
        )
    return Markup(f'<svg class="strip" height="22" aria-hidden="true">{"".join(parts)}</svg>')


def axis(scale: Scale) -> Markup:
    """Draw the numbers of the axis, for the head of the column."""
    shown = scale.ticks[:: 2 if len(scale.ticks) > 4 else 1]
    texts = []
    for tick in shown:
        x = _at(scale, tick)
        anchor = "start" if x < 10 else "end" if x > 90 else "middle"
        x = {"start": 0.0, "end": 100.0, "middle": x}[anchor]
        texts.append(
            f'<text class="tick" text-anchor="{anchor}" x="{x:.2f}%" y="13">{scale.label(tick)}'
            "</text>"
        )
    return Markup(f'<svg class="strip" height="18" aria-hidden="true">{"".join(texts)}</svg>')


def _at(scale: Scale, value: float) -> float:
    return MARGIN + (100 - 2 * MARGIN) * scale.part(value)


def _line(scale: Scale, value: float, css: str) -> str:
    x = _at(scale, value)
    return f'<line class="{css}" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="22"/>'
