"""Charts as plain SVG: colours come from the style sheet, so they follow light, dark and print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

from markupsafe import Markup

from evaluation.numbers import Unit, amount
from evaluation.report.drawing import (
    Axes,
    Frame,
    Look,
    Series,
    draw_grid,
    draw_line,
    draw_mark,
    svg,
)
from evaluation.report.scales import Scale, nice_scale

WIDTH, HEIGHT = 420, 300
"""Of a chart with two labelled axes."""


@dataclass(frozen=True)
class Dot:
    """A single labelled point."""

    name: str
    look: Look
    x: float
    y: float


def line_chart(
    series: Sequence[Series], title: str, rounds: tuple[int, int], unit: Unit = "share"
) -> Markup:
    """Draw a figure over rounds, first to last, one line per arm, each named at its end.

    Shares start at 0, other numbers where they do. The title is for those who hear it.
    """
    # The widest name decides how much room the labels at the line ends need.
    room = 20 + 7.6 * max((len(s.name) + 7 for s in series), default=10)
    width, height = 940, 340
    values = [y for s in series for _, y in s.defined]
    limit = (0.0, 1.0) if unit == "share" else None
    scale = nice_scale(values, unit, zero=unit == "share", limit=limit)
    axes = Axes(_round_scale(*rounds), scale, "round")
    frame = Frame.of(axes, 54, 14, width - 54 - room, height - 54)
    parts = draw_grid(frame, axes, upright=False)
    labels: list[tuple[float, Series, float]] = []
    for item in series:
        if not item.defined:
            continue
        parts.append(draw_line(frame, item, "line"))
        x, y = frame.at(*item.defined[-1])
        parts.append(draw_mark(item.look, x, y))
        labels.append((y, item, x))
    for y, item, x in _spread(labels, 16, frame.top + 4, frame.top + frame.height):
        value = amount(item.defined[-1][1], unit)
        parts.append(
            f'<text class="end {item.look.css}" x="{x + 11:.1f}" y="{y + 4:.1f}">'
            f"{escape(item.name)} <tspan class='num'>{value}</tspan></text>"
        )
    return svg(width, height, title, parts, "wide")


def mini_chart(
    series: Sequence[Series],
    title: str,
    rounds: int,
    top: float = 1.0,
    marks: Sequence[tuple[float, float]] = (),
) -> Markup:
    """Draw a small panel without labels; ``marks`` are points where a guard acted."""
    width, height = 168, 92
    frame = Frame(6, 8, width - 12, height - 16, (1, max(2, rounds)), (0, top or 1.0))
    parts = [
        f'<line class="{css}" x1="{frame.left}" x2="{frame.left + frame.width}" '
        f'y1="{frame.at(1, level)[1]:.1f}" y2="{frame.at(1, level)[1]:.1f}"/>'
        for css, level in (("axis", 0.0), ("grid", top / 2), ("grid", top))
    ]
    parts += [draw_line(frame, item, "thin") for item in series if item.defined]
    for x, y in marks:
        px, py = frame.at(x, y)
        parts.append(f'<path class="guard" d="M{px:.1f} {py - 4:.1f}l4 7h-8z"/>')
    return svg(width, height, title, parts, "small")


def xy_chart(
    axes: Axes,
    series: Sequence[Series],
    title: str,
    *,
    dots: Sequence[Dot] = (),
    diagonal: bool = False,
    marks: bool = True,
    named: bool = False,
) -> Markup:
    """Draw lines, with a mark at every point if `marks`, and dots, with their names if `named`.

    `diagonal` asks for the line of equal values. The title is read out by screen readers.
    """
    frame = Frame.of(axes, 54, 12, WIDTH - 70, HEIGHT - 62)
    parts = draw_grid(frame, axes)
    if diagonal:
        (x1, y1), (x2, y2) = frame.at(axes.x.low, axes.x.low), frame.at(axes.x.high, axes.x.high)
        parts.append(
            f'<line class="rule" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
        )
    for item in series:
        parts += _line(frame, axes, item, marks)
    for dot in dots:
        parts += _dot(frame, axes, dot, named)
    return svg(WIDTH, HEIGHT, title, parts, "panel")


def _line(frame: Frame, axes: Axes, item: Series, marks: bool) -> list[str]:
    parts = [draw_line(frame, item, "line")]
    for x, y in item.defined:
        px, py = frame.at(x, y)
        tip = _tip(item.name, axes, x, y)
        shown = draw_mark(item.look, px, py) if marks else ""
        reach = f'<circle class="reach" cx="{px:.1f}" cy="{py:.1f}" r="9"/>'
        parts.append(f'<g data-tip="{tip}">{shown}{reach}</g>')
    return parts


def _dot(frame: Frame, axes: Axes, dot: Dot, named: bool) -> list[str]:
    px, py = frame.at(dot.x, dot.y)
    tip = _tip(dot.name, axes, dot.x, dot.y)
    parts = [
        f'<g data-tip="{tip}">{draw_mark(replace(dot.look, dash=""), px, py)}'
        f'<circle class="reach" cx="{px:.1f}" cy="{py:.1f}" r="12"/></g>'
    ]
    if named:
        left = px > frame.left + frame.width * 0.6
        parts.append(
            f'<text class="end {dot.look.css}" text-anchor="{"end" if left else "start"}" '
            f'x="{px + (-10 if left else 10):.1f}" y="{py - 8:.1f}">{escape(dot.name)}</text>'
        )
    return parts


def _tip(name: str, axes: Axes, x: float, y: float) -> str:
    words = f"{axes.x_title}: {axes.x.label(x)}, {axes.y_title}: {axes.y.label(y)}"
    return escape(f"{name}: {words}" if name else words, quote=True)


def _round_scale(first: int, last: int) -> Scale:
    step = next((s for s in (1, 2, 5, 10, 20, 50, 100) if last / s <= 13), 500)
    ticks = tuple(map(float, sorted({first, *range(step, last + 1, step)})))
    return Scale(first, max(first + 1, last), ticks, "number")


def _spread(
    labels: list[tuple[float, Series, float]], gap: float, top: float, bottom: float
) -> list[tuple[float, Series, float]]:
    """Push labels apart so that none covers another, keeping their order."""
    ordered = sorted(labels, key=lambda label: label[0])
    heights: list[float] = []
    for y, _, _ in ordered:
        heights.append(max(y, heights[-1] + gap if heights else top))
    overflow = heights[-1] - bottom if heights else 0.0
    for i in range(len(heights) - 1, -1, -1):
        limit = bottom if i == len(heights) - 1 else heights[i + 1] - gap
        heights[i] = min(heights[i], limit) if overflow > 0 else heights[i]
    return [(y, item, x) for y, (_, item, x) in zip(heights, ordered, strict=True)]
