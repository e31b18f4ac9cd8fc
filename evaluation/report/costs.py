"""Accuracy against fairness, what an arm cost, and what left the clients."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from evaluation.records import Arm, Run
from evaluation.report.charts import Series
from evaluation.report.plots import Axes, Dot, xy_chart
from evaluation.report.scales import nice_scale
from evaluation.report.style import Look
from evaluation.report.words import GAP_TITLES
from evaluation.summary import ArmSummary

PLAIN = frozenset({"fedavg", "local", "centralised", "zero-shot", "synthetic"})
"""Rules and systems that weigh clients by their examples alone, or not at all."""
SENDS_NO_MODEL = frozenset({"local", "zero-shot", "synthetic"})
"""Systems whose clients send no model."""
NOISED = {
    "augment": "the class prototypes that they sent once for one-shot arms",
    "shared": "the sums that they sent once to centre images and captions",
    "peers": "the class prototypes that a peer sends, anew in each of its releases",
}
"""What clients add noise to, by the section of the configuration that has its budget."""


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
    found = []
    for summary in summaries:
        history = run.history[summary.name]
        if not history:
            continue
        entries = [entry for item in history for entry in item.clients]
        up, down = sum(e.bytes_up for e in entries) / 1e6, sum(e.bytes_down for e in entries) / 1e6
        found.append(
            Cost(
                arm=summary.name,
                rounds=len(history),
                seconds=summary.seconds,
                synthesis=summary.synthesis_seconds,
                client_seconds=sum(e.seconds for e in entries),
                slowest=max((e.seconds for e in entries), default=math.nan),
                mb_up=up,
                mb_down=down,
                mb_round=(up + down) / len(history),
            )
        )
    return found


def privacy_statement(run: Run) -> list[str]:
    """What left the clients in this run, and what was done to it."""
    unit = run.unit
    lines = [
        f"Every client sent {_updates(run)}its mean losses, its number of training and test {unit} "
        f"by class and group, and counts of how the model classifies its training and its test "
        f"{unit}, by group, true and predicted class. No {unit.removesuffix('s')}, file name or "
        "prediction of a single one is among them.",
    ]
    steered = sorted({_rule(arm) for arm in run.arms} - PLAIN)
    if steered:
        lines.append(
            "The server sees all of this client by client. Arms with the rule "
            f"{' or '.join(steered)} weigh clients by it: by fairness signals, losses, counts or "
            "updates."
        )
    if any(arm.augment for arm in run.arms):
        lines.append(
            f"Synthetic {unit} were made and kept at the clients; the server learnt how many were "
            "asked for, accepted and rejected by class and group."
        )
    if run.gallery:
        lines.append(
            "This report shows real training images beside synthetic ones (the gallery): remove "
            "synthetic/gallery before you pass it on if they are not public."
        )
    if (run.path / "columns.json").is_file():
        lines.append(
            "So that columns could be scaled and encoded, every client also sent sums, coarse "
            "ranges and frequent categories of its training rows."
        )
    lines += _noised(run)
    lines.append(
        "No noise was added to model updates, losses and counts: counts of small groups and model "
        "updates can tell something about single examples. Nothing here is a guarantee against "
        "that."
    )
    return lines


def _updates(run: Run) -> str:
    """Model updates among what clients sent, if some arm has clients that send them."""
    return "model updates, " if any(_rule(arm) not in SENDS_NO_MODEL for arm in run.arms) else ""


def _rule(arm: Arm) -> str:
    """The arm's rule, or its system; what else differs in it stands behind a comma."""
    return arm.rule.split(", ")[0]


def _noised(run: Run) -> list[str]:
    """What clients sent with noise and with which budget, a sentence each."""
    try:
        settings = tomllib.loads(run.config_text)
    except tomllib.TOMLDecodeError:
        return []  # a configuration of another tool: nothing to say about it
    sections = {name: found for name, found in settings.items() if isinstance(found, dict)}
    return [
        f"Clients added noise to {NOISED[name]}: differential privacy with {name}.epsilon = "
        f"{sections[name]['epsilon']:g} and {name}.delta = {sections[name]['delta']:g}."
        for name in _used_budgets(run, sections)
        if {"epsilon", "delta"} <= sections[name].keys()
    ]


def _used_budgets(run: Run, sections: dict[str, dict[str, Any]]) -> list[str]:
    """Which of `NOISED` the run releases; a configuration has budgets that nothing spends, too."""
    one_shot = any("one-shot" in arm.rule.split(", ") for arm in run.arms)
    peers = sections.get("peers", {"seeded_noise": True})
    used = {
        "augment": one_shot and "augment" in sections,
        "shared": sections.get("shared", {}).get("centre", False),
        "peers": not peers.get("seeded_noise", False),  # noise that others know protects nobody
    }
    return [name for name, chosen in used.items() if chosen]
