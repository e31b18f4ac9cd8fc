"""Accuracy against fairness, and what an arm cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evaluation.records import Round, Run
from evaluation.report.charts import Series
from evaluation.report.plots import Axes, Dot, xy_chart
from evaluation.report.scales import nice_scale
from evaluation.report.style import Look
from evaluation.report.words import GAP_TITLES
from evaluation.summary import ArmSummary


@dataclass(frozen=True)
class Front:
    """Arms by accuracy and one gap, and which of them no other arm beats in both."""

    title: str
    chart: Markup
    best: tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """Communication and computation of one arm; seconds of clients add over clients and rounds."""

    arm: str
    rounds: int
    seconds: float
    synthesis: float
    client_seconds: float
    slowest: float
    mb_up: float
    mb_down: float
    mb_round: float


def fronts(summaries: list[ArmSummary], looks: dict[str, Look]) -> list[Front]:
    """One chart per gap: accuracy against it, the Pareto front as a line."""
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
        found.append(Front(title, chart, tuple(best)))
    return found


def pareto(places: dict[str, tuple[float, float]]) -> list[str]:
    """Names that no other beats: none has a gap as small and an accuracy as high, one strictly.

    Parameters
    ----------
    places : dict of str to (float, float)
        Gap (lower is better) and accuracy (higher is better).
    """

    def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] <= b[0] and a[1] >= b[1] and a != b

    return [
        name
        for name, place in places.items()
        if not any(beats(other, place) for other in places.values())
    ]


def costs(run: Run, summaries: list[ArmSummary]) -> list[Cost]:
    """What every arm with a finished round cost."""
    return [
        cost_of(summary.name, run.history[summary.name], summary.synthesis_seconds)
        for summary in summaries
        if run.history[summary.name]
    ]


def cost_of(arm: str, rounds: Sequence[Round], synthesis: float = 0.0) -> Cost:
    """What some finished rounds, at least one, cost, and the synthesis before them."""
    entries = [entry for item in rounds for entry in item.clients]
    up, down = sum(e.bytes_up for e in entries) / 1e6, sum(e.bytes_down for e in entries) / 1e6
    return Cost(
        arm=arm,
        rounds=len(rounds),
        seconds=sum(item.seconds for item in rounds),
        synthesis=synthesis,
        client_seconds=sum(e.seconds for e in entries),
        slowest=max((e.seconds for e in entries), default=math.nan),
        mb_up=up,
        mb_down=down,
        mb_round=(up + down) / len(rounds),
    )
