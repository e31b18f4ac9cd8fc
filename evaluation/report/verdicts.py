"""Better, worse, or neither: what an interval of a difference says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from evaluation.bootstrap import difference_interval
from evaluation.comparable import Metric
from evaluation.compare_runs import Difference
from evaluation.intervals import Interval
from evaluation.numbers import points
from evaluation.rates import CountArray
from evaluation.records import Run
from evaluation.summary import Comparison

BETTER, WORSE, UNCLEAR, UNDEFINED = "better", "worse", "no clear change", "undefined"
LEVELLED = "levelled down"
"""A smaller gap that nobody gains by: no improvement."""
SYMBOLS = {BETTER: "▲", WORSE: "▼", UNCLEAR: "≈", UNDEFINED: "–", LEVELLED: "◇"}
SERVED = ("accuracy", "worst_group_accuracy", "worst_cell_recall", "client_worst")
"""How well people are served on the whole, and where it is worst."""


Changed = TypeVar("Changed", Comparison, Difference)
"""An arm with its changes against the baseline, by measure."""


def verdict(interval: Interval, direction: str) -> str:
    """Say whether a difference is clear of 0, and on which side."""
    if not interval.defined or math.isnan(interval.low):
        return UNDEFINED
    if interval.low <= 0 <= interval.high:
        return UNCLEAR
    return BETTER if (interval.low > 0) == (direction == "higher") else WORSE


def clearly_apart(run: Run, ours: CountArray, theirs: CountArray, metric: Metric) -> bool:
    """Say whether two arms differ in a metric of their counts by more than noise."""
    change = difference_interval(ours, theirs, metric, seed=run.seed)
    return verdict(change, "higher") in (BETTER, WORSE)


def judged(changes: Mapping[str, Interval], name: str, direction: str) -> str:
    """Say the verdict on one of several changes; a gap that was levelled down is no better one."""
    word = verdict(changes[name], direction)
    gap = direction == "lower"
    return LEVELLED if gap and word == BETTER and levelled_down(changes) else word


def levelled_down(changes: Mapping[str, Interval]) -> bool:
    """Say whether accuracy, or the worst group, class or client, clearly fell, or everybody's did.

    Everybody: accuracy and that of the worst group both fell, clearly or not.
    """
    known = {name: changes[name] for name in SERVED if name in changes}
    if any(verdict(change, "higher") == WORSE for change in known.values()):
        return True
    both = [known.get(name) for name in ("accuracy", "worst_group_accuracy")]
    return all(change is not None and change.value < 0 for change in both)


def recommended(
    candidates: Sequence[Changed],
    apart: Callable[[Changed, Changed], bool],
    cost: Callable[[Changed], tuple[float, ...]],
) -> tuple[Changed, list[Changed]] | None:
    """Choose the cheapest of the arms that cannot be told apart from the most accurate one.

    `apart` says whether two can be, `cost` what one costs. Returns the arm and those that tie with
    it, or None if none is clearly more accurate than the baseline: that one is the cheapest then.
    """
    helped = [c for c in candidates if verdict(c.changes["accuracy"], "higher") == BETTER]
    if not helped:
        return None
    best = max(helped, key=lambda c: c.changes["accuracy"].value)
    level = [c for c in helped if c is best or not apart(best, c)]
    chosen = min(level, key=cost)
    return chosen, [c for c in level if c is not chosen]


def none_above(changes: Mapping[str, Interval], baseline: str) -> tuple[str, str]:
    """Say that no arm is clearly more accurate, or that all are clearly less; and the closest."""
    closest = max(changes, key=lambda name: (not math.isnan(v := changes[name].value), v))
    words = {verdict(change, "higher") for change in changes.values()}
    if words != {WORSE}:
        return f"no arm is clearly more accurate than {baseline}", closest
    who = "all arms are" if len(changes) > 1 else f"{closest} is"
    return f"{who} clearly less accurate than {baseline}", closest


def tie(gains: Mapping[str, float]) -> str:
    """Name the arms that cost more than the recommended one and are neither better nor worse.

    `gains` say by how much each is more accurate than it.
    """
    listed = ", ".join(f"{name} ({points(gain)} points)" for name, gain in gains.items())
    return f"; within noise of it, and no cheaper: {listed}" if gains else ""


def gap_line(changes: Mapping[str, Mapping[str, Interval]], baseline: str) -> str:
    """Say whose gap of equalized odds differs clearly from the baseline's; empty without gaps."""
    gap = "equalized_odds_difference"
    known = {arm: judged(own, gap, "lower") for arm, own in changes.items() if gap in own}
    if not known:
        return ""
    starts = {
        BETTER: f"clearly smaller than {baseline}'s with",
        WORSE: "clearly larger with",
        LEVELLED: "levelled down, smaller and nobody better served, with",
    }
    named = {word: [arm for arm in known if known[arm] == word] for word in starts}
    parts = [f"{starts[word]} {', '.join(arms)}" for word, arms in named.items() if arms]
    return (
        f"Group gap (equalized odds): {'; '.join(parts)}."
        if parts
        else (f"Group gap (equalized odds): no arm differs clearly from {baseline}.")
    )
