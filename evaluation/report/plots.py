"""Line charts with two labelled axes; every point tells its numbers to whoever hovers over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

from markupsafe import Markup

from evaluation.report.charts import Frame, Series, draw_mark, svg
from evaluation.report.scales import Scale
from evaluation.report.style import Look

WIDTH, HEIGHT = 420, 300


@dataclass(frozen=True)
class Dot:
    """A single labelled point."""

    name: str
    look: Look
    x: float
    y: float


@dataclass(frozen=True)
class Axes:
    """Both axes with what they are called."""

    x: Scale
    y: Scale
    x_title: str
    y_title: str


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
    """Draw lines and single points.

    Parameters
    ----------
    axes : Axes
        Scales and titles.
    series : sequence of Series
        Lines; their undefined points are left out.
    title : str
        What the chart shows, read out by screen readers.
    dots : sequence of Dot
        Single points.
    diagonal : bool
        Whether to draw the line of equal values.
    marks : bool
        Whether lines have a mark at every point.
    named : bool
        Whether the name of a dot stands beside it.
    """
    frame = Frame(
        54, 12, WIDTH - 70, HEIGHT - 62, (axes.x.low, axes.x.high), (axes.y.low, axes.y.high)
    )
    parts = [*_grid(frame, axes)]
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


def _grid(frame: Frame, axes: Axes) -> list[str]:
    right, bottom = frame.left + frame.width, frame.top + frame.height
    parts = []
    for value in axes.x.ticks:
        x = frame.at(value, axes.y.low)[0]
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top}" y2="{bottom}"/>'
            f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{bottom + 17}">'
            f"{axes.x.label(value)}</text>"
        )
    for value in axes.y.ticks:
        y = frame.at(axes.x.low, value)[1]
        parts.append(
            f'<line class="grid" x1="{frame.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" text-anchor="end" x="{frame.left - 7}" y="{y + 4:.1f}">'
            f"{axes.y.label(value)}</text>"
        )
    middle = frame.top + frame.height / 2
    parts.append(
        f'<text class="tick" text-anchor="middle" x="{frame.left + frame.width / 2:.1f}" '
        f'y="{HEIGHT - 8}">{escape(axes.x_title)}</text>'
        f'<text class="tick" text-anchor="middle" transform="translate(11 {middle:.1f}) '
        f'rotate(-90)">{escape(axes.y_title)}</text>'
    )
    return parts


def _line(frame: Frame, axes: Axes, item: Series, marks: bool) -> list[str]:
    places = [(frame.at(x, y), x, y) for x, y in item.defined]
    dash = f' stroke-dasharray="{item.look.dash}"' if item.look.dash else ""
    points = " ".join(f"{px:.1f},{py:.1f}" for (px, py), _, _ in places)
    parts = [f'<polyline class="line {item.look.css}" points="{points}"{dash}/>']
    for (px, py), x, y in places:
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
