"""Charts as plain SVG: colours come from the style sheet, so they follow light, dark and print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from evaluation.report.numbers import Unit, amount
from evaluation.report.scales import Scale, nice_scale
from evaluation.report.style import Look


@dataclass(frozen=True)
class Series:
    """A line: points ``(x, y)`` in data units, y not finite where undefined."""

    name: str
    look: Look
    points: tuple[tuple[float, float], ...]

    @property
    def defined(self) -> tuple[tuple[float, float], ...]:
        """The points whose y is finite."""
        return tuple((x, y) for x, y in self.points if math.isfinite(y))


@dataclass(frozen=True)
class Frame:
    """A plotting area in pixels with a linear scale on both axes."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float] = (0.0, 1.0)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Map data to pixels."""
        span_x, span_y = self.x[1] - self.x[0] or 1.0, self.y[1] - self.y[0] or 1.0
        return (
            self.left + (x - self.x[0]) / span_x * self.width,
            self.top + (1 - (y - self.y[0]) / span_y) * self.height,
        )


def line_chart(
    series: Sequence[Series], title: str, rounds: tuple[int, int], unit: Unit = "share"
) -> Markup:
    """Draw a figure over rounds, one line per arm, each named at its end.

    Parameters
    ----------
    series, title
        Lines, and what the chart shows, for those who hear it.
    rounds : (int, int)
        First and last round of the axis.
    unit : {"share", "number"}
        Of the figure: shares start at 0, other numbers where they do.
    """
    # The widest name decides how much room the labels at the line ends need.
    room = 20 + 7.6 * max((len(s.name) + 7 for s in series), default=10)
    width, height = 940, 340
    values = [y for s in series for _, y in s.defined]
    limit = (0.0, 1.0) if unit == "share" else None
    scale = nice_scale(values, unit, zero=unit == "share", limit=limit)
    last = max(rounds[0] + 1, rounds[1])
    span = (scale.low, scale.high)
    frame = Frame(54, 14, width - 54 - room, height - 54, (rounds[0], last), span)
    parts = [*_grid(frame, scale), *_round_axis(frame, *rounds)]
    labels: list[tuple[float, Series, float]] = []
    for item in series:
        if not item.defined:
            continue
        parts.append(_polyline(frame, item, "line"))
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
    parts += [_polyline(frame, item, "thin") for item in series if item.defined]
    for x, y in marks:
        px, py = frame.at(x, y)
        parts.append(f'<path class="guard" d="M{px:.1f} {py - 4:.1f}l4 7h-8z"/>')
    return svg(width, height, title, parts, "small")


def _grid(frame: Frame, scale: Scale) -> list[str]:
    parts = []
    for value in scale.ticks:
        y = frame.at(frame.x[0], value)[1]
        parts.append(
            f'<line class="{"grid" if value else "axis"}" x1="{frame.left}" '
            f'x2="{frame.left + frame.width:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" text-anchor="end" x="{frame.left - 8}" y="{y + 4:.1f}">'
            f"{scale.label(value)}</text>"
        )
    return parts


def _round_axis(frame: Frame, first: int, last: int) -> list[str]:
    step = next((s for s in (1, 2, 5, 10, 20, 50, 100) if last / s <= 13), 500)
    shown = sorted({first, *range(step, last + 1, step)})
    base = frame.top + frame.height
    parts = [
        f'<text class="tick" text-anchor="middle" x="{frame.at(r, 0)[0]:.1f}" y="{base + 17:.1f}">'
        f"{r}</text>"
        for r in shown
    ]
    middle = frame.left + frame.width / 2
    parts.append(
        f'<text class="tick" text-anchor="middle" x="{middle:.1f}" y="{base + 34:.1f}">round</text>'
    )
    return parts


def _polyline(frame: Frame, item: Series, css: str) -> str:
    coordinates = " ".join(
        "{:.1f},{:.1f}".format(*frame.at(x, min(y, frame.y[1]))) for x, y in item.defined
    )
    dash = f' stroke-dasharray="{item.look.dash}"' if item.look.dash else ""
    return f'<polyline class="{css} {item.look.css}" points="{coordinates}"{dash}/>'


def draw_mark(look: Look, x: float, y: float) -> str:
    """Draw the mark of a look around a point, in pixels."""
    css = f'class="mark {look.css}"'
    if look.mark == "square":
        return f'<rect {css} x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
    if look.mark == "triangle":
        return f'<path {css} d="M{x:.1f} {y - 5:.1f}l5.2 9h-10.4z"/>'
    if look.mark == "diamond":
        return f'<path {css} d="M{x:.1f} {y - 5.5:.1f}l5.5 5.5l-5.5 5.5l-5.5 -5.5z"/>'
    return f'<circle {css} cx="{x:.1f}" cy="{y:.1f}" r="4.6"/>'


def mark_svg(look: Look) -> Markup:
    """Draw the mark of an arm with a stroke of its line, for legends and tables."""
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    line = f'<polyline class="line {look.css}" points="1,7 27,7"{dash}/>'
    body = line + draw_mark(look, 14, 7)
    return Markup(
        f'<svg class="key" viewBox="0 0 28 14" width="28" height="14" aria-hidden="true">'
        f"{body}</svg>"
    )


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


def svg(width: float, height: float, title: str, parts: Sequence[str], css: str) -> Markup:
    """Put the parts of a chart together, with a title for those who hear it."""
    words = escape(title)
    return Markup(
        f'<svg class="{css}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{words}"><title>{words}</title>{"".join(parts)}</svg>'
    )
