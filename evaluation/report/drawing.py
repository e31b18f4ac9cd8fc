"""What charts are made of: a plotting area, lines and marks that differ in more than colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from evaluation.records import Arm
from evaluation.report.scales import Scale

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


def look(index: int) -> Look:
    """The look of the arm, method or variant at a place."""
    dash = DASHES[index // len(MARKS) % len(DASHES)]
    return Look(f"c{index % PALETTE}", dash, MARKS[index % len(MARKS)])


def looks(arms: tuple[Arm, ...]) -> dict[str, Look]:
    """Give each arm a look; reference arms share the neutral colour and the dotted line."""
    own = [arm.name for arm in arms if not arm.reference]
    return {
        arm.name: Look("ref", DOTTED, "diamond") if arm.reference else look(own.index(arm.name))
        for arm in arms
    }


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

    @property
    def first(self) -> float:
        """The first finite y; NaN without one."""
        return self.defined[0][1] if self.defined else math.nan

    @property
    def last(self) -> float:
        """The last finite y; NaN without one."""
        return self.defined[-1][1] if self.defined else math.nan


@dataclass(frozen=True)
class Frame:
    """A plotting area in pixels with a linear scale on both axes."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def of(cls, axes: Axes, left: float, top: float, width: float, height: float) -> Frame:
        """The area of a chart with these axes."""
        return cls(left, top, width, height, (axes.x.low, axes.x.high), (axes.y.low, axes.y.high))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Map data to pixels."""
        span_x, span_y = self.x[1] - self.x[0] or 1.0, self.y[1] - self.y[0] or 1.0
        return (
            self.left + (x - self.x[0]) / span_x * self.width,
            self.top + (1 - (y - self.y[0]) / span_y) * self.height,
        )


@dataclass(frozen=True)
class Axes:
    """Both axes with what they are called."""

    x: Scale
    y: Scale
    x_title: str
    y_title: str = ""


def draw_grid(frame: Frame, axes: Axes, *, upright: bool = True) -> list[str]:
    """Draw ticks, titles and grid lines, those of the x axis if `upright`."""
    right, bottom = frame.left + frame.width, frame.top + frame.height
    parts = []
    for value in axes.x.ticks:
        x = frame.at(value, axes.y.low)[0]
        if upright:
            parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top}" y2="{bottom}"/>'
            )
        parts.append(_tick(x, bottom + 17, axes.x.label(value)))
    for value in axes.y.ticks:
        y = frame.at(axes.x.low, value)[1]
        css = "grid" if upright or value else "axis"
        parts.append(
            f'<line class="{css}" x1="{frame.left}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(_tick(frame.left - 7, y + 4, axes.y.label(value), "end"))
    parts.append(_tick(frame.left + frame.width / 2, bottom + 34, axes.x_title))
    middle = frame.top + frame.height / 2
    if axes.y_title:
        turned = f'transform="translate(11 {middle:.1f}) rotate(-90)"'
        parts.append(
            f'<text class="tick" text-anchor="middle" {turned}>{escape(axes.y_title)}</text>'
        )
    return parts


def _tick(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return (
        f'<text class="tick" text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
    )


def draw_line(frame: Frame, item: Series, css: str) -> str:
    """Draw a series without its marks."""
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


def svg(width: float, height: float, title: str, parts: Sequence[str], css: str) -> Markup:
    """Put the parts of a chart together, with a title for those who hear it."""
    words = escape(title)
    return Markup(
        f'<svg class="{css}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{words}"><title>{words}</title>{"".join(parts)}</svg>'
    )
