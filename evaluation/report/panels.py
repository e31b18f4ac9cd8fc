"""Tables that are charts: each row a name, a dot with its interval, and the numbers.

So they sort and filter, and a reader who cannot see the dots misses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from evaluation.intervals import Interval
from evaluation.numbers import Unit, amount, count, ends
from evaluation.report.scales import Scale, nice_scale
from evaluation.report.strips import axis, strip

Data = dict[str, Any]
Estimate = Interval | Mapping[str, Any] | float | None
"""A value with its interval, as a record or as plain data, or without."""

MOST = 20
"""Rows that a table of groups shows: half of them lowest, half highest."""


@dataclass(frozen=True)
class Row:
    """A row: its name, drawing and texts, the rows `n` it rests on, and what it sorts by."""

    name: str
    chart: Markup
    value: str
    small: str = ""
    n: int | None = None
    sort: float | None = None
    extra: Data = field(default_factory=dict)

    @property
    def tip(self) -> str:
        """What it tells beside the pointer."""
        how = ", ".join(filter(None, (self.small, self.extra.get("how", ""))))
        rows = "" if self.n is None else f", n = {count(self.n)}"
        return f"{self.name}: {self.value}{f' ({how})' if how else ''}{rows}"


@dataclass(frozen=True)
class Panel:
    """A table that is a chart."""

    name: str
    title: str
    note: str
    axis: Markup
    rows: tuple[Row, ...]


def parts(own: Estimate) -> tuple[float | None, float | None, float | None]:
    """Value, lower and upper end of an estimate; None where there is none."""
    if isinstance(own, Interval):
        return own.value, own.low, own.high
    if isinstance(own, Mapping):
        return own["value"], own["low"], own["high"]
    return own, None, None


def scale_of(values: Sequence[Estimate], unit: Unit, **options: Any) -> Scale:
    """An axis that holds some estimates with their intervals; shares do not leave 0 to 1."""
    limit = (0.0, 1.0) if unit == "share" else None
    return nice_scale([end for own in values for end in parts(own)], unit, limit=limit, **options)


def value_panel(
    name: str,
    title: str,
    values: Mapping[str, Estimate],
    *,
    unit: Unit = "share",
    sizes: Mapping[str, int | None] | None = None,
    rule: Estimate = None,
    chance: Mapping[str, float] | None = None,
    note: str = "",
    zero: bool = False,
    most: int | None = None,
    muted: Collection[str] = (),
) -> Panel:
    """A panel of one figure by name, with the rows of data behind each in `sizes`.

    `rule` is the reference, a dashed line; `chance` the end of the band that chance alone makes;
    `zero` whether 0 has to be on the axis; `most` how many rows there are at most, the lowest and
    the highest; `muted` rows have the neutral colour.
    """
    chance = chance or {}
    scale = scale_of([*values.values(), rule, *chance.values()], unit, zero=zero)
    places = extremes([parts(own)[0] for own in values.values()], most or len(values))
    names = list(values)
    shown = [names[place] for place in places]
    reference = parts(rule)[0]
    found = []
    for row in shown:
        own = values[row]
        value, low, high = parts(own)
        colour = "ref" if row in muted else "c0"
        found.append(
            Row(
                row,
                strip(scale, value, low, high, chance=chance.get(row), rule=reference, css=colour),
                amount(value, unit),
                ends(low, high, unit),
                (sizes or {}).get(row),
                value,
                {"how": own["how"]} if isinstance(own, Mapping) else {},
            )
        )
    return Panel(name, title, note + others(len(values), len(shown)), axis(scale), tuple(found))


def extremes(values: Sequence[float | None], most: int = MOST) -> list[int]:
    """Places of the lowest and of the highest values in order of place; of few values, all."""
    if len(values) <= most:
        return list(range(len(values)))
    known = sorted((v, i) for i, v in enumerate(values) if v is not None)
    ends = known if len(known) <= most else [*known[: most // 2], *known[-(most - most // 2) :]]
    return sorted(i for _, i in ends)


def others(total: int, shown: int) -> str:
    """What a table leaves out, in words; empty where it has all."""
    if shown == total:
        return ""
    return f"The lowest and the highest of {total:,} groups; {total - shown:,} others: report.json."
