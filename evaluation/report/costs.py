"""Accuracy against fairness, and what an arm cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.records import Round
from evaluation.report.charts import Dot, xy_chart
from evaluation.report.drawing import Axes, Look, Series
from evaluation.report.scales import nice_scale
from evaluation.report.words import GAP_TITLES
from evaluation.results import Column, Table
from evaluation.summary import ArmSummary

SPENT = (
    Column("Arm", "text"),
    Column("Rounds", "count"),
    *(Column(title, "duration") for title in ("Rounds took", "Synthesis took", "At clients")),
    Column("Slowest client in a round, s", "number", digits=2),
    *(Column(title, "mb") for title in ("MB up", "MB down")),
    Column("MB per round", "mb", digits=2),
)
LEGEND = "Time at clients adds over clients and rounds; MB in 10⁶ bytes of model updates."


def fronts(summaries: list[ArmSummary], looks: dict[str, Look]) -> list[dict[str, Any]]:
    """One chart per gap: accuracy against it, the arms that none beats in both joined by a line."""
    found = []
    for name, title in GAP_TITLES.items():
        own = [s for s in summaries if name in s.gaps and s.gaps[name].defined]
        if len(own) < 2:
            continue
        places = {s.name: (s.gaps[name].value, s.accuracy.value) for s in own}
        arms = {s.name: places[s.name] for s in own if not s.reference}
        best = pareto(arms)
        x = nice_scale([x for x, _ in places.values()], "points", zero=True)
        y = nice_scale([y for _, y in places.values()])
        front = Series("front", Look("ref", "4 3", "circle"), tuple(sorted(arms[b] for b in best)))
        dots = [Dot(arm, looks[arm], *place) for arm, place in places.items()]
        axes = Axes(x, y, f"{title.lower()}, points", "test accuracy")
        words = f"Test accuracy against {title.lower()}; not beaten in both: {', '.join(best)}"
        chart = xy_chart(axes, [front], words, dots=dots, marks=False)
        found.append({"name": name, "title": title, "chart": chart, "best": best})
    return found


def pareto(places: dict[str, tuple[float, float]]) -> list[str]:
    """Names that no other beats: none has a gap as small and an accuracy as high, one strictly."""

    def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] <= b[0] and a[1] >= b[1] and a != b

    return [
        name
        for name, place in places.items()
        if not any(beats(other, place) for other in places.values())
    ]


def costs(
    history: Mapping[str, Sequence[Round]], synthesis: Mapping[str, float] | None = None
) -> Table:
    """What every arm with a finished round cost, and the synthesis before it, in seconds."""
    rows = []
    for arm, rounds in history.items():
        if not rounds:
            continue
        entries = [entry for item in rounds for entry in item.clients]
        up = sum(e.bytes_up for e in entries) / 1e6
        down = sum(e.bytes_down for e in entries) / 1e6
        rows.append(
            (
                arm,
                len(rounds),
                sum(item.seconds for item in rounds),
                (synthesis or {}).get(arm) or None,
                sum(e.seconds for e in entries),
                max((e.seconds for e in entries), default=None),
                up,
                down,
                (up + down) / len(rounds),
            )
        )
    return Table(SPENT, tuple(rows), legend=LEGEND)
