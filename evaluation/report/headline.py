"""What helped, in words made from the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from evaluation.comparable import left_out
from evaluation.numbers import amount, points, span
from evaluation.rates import accuracy
from evaluation.records import Run
from evaluation.report.verdicts import (
    BETTER,
    SYMBOLS,
    UNCLEAR,
    UNDEFINED,
    WORSE,
    clearly_apart,
    gap_line,
    judged,
    none_above,
    recommended,
    tie,
    verdict,
)
from evaluation.summary import HEADLINE_METRICS, ArmSummary, Comparison, final_counts


@dataclass(frozen=True)
class Headline:
    """The conclusion: one sentence, and what else a reader must know.

    `warnings` come before all: what a reader must not miss.
    """

    title: str
    lines: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def changes(comparison: Comparison) -> dict[str, dict[str, str]]:
    """Word every metric of a comparison."""
    found = {}
    for name, direction in HEADLINE_METRICS.items():
        interval = comparison.changes.get(name)
        if interval is None:
            continue
        word = judged(comparison.changes, name, direction)
        found[name] = {
            "verdict": word,
            "symbol": SYMBOLS[word],
            "value": points(interval.value),
            "ends": span(interval, signed=True),
        }
    return found


def headline(run: Run, summaries: list[ArmSummary], comparisons: list[Comparison]) -> Headline:
    """Conclude from the numbers; says so when nothing helped or nothing can be said yet.

    An arm that drew a client down is warned of and never recommended. Of arms that cannot be told
    apart, the cheapest is.
    """
    by_name = {summary.name: summary for summary in summaries}
    measured = [summary for summary in summaries if summary.measured]
    warned = tuple(warnings(run.unit, summaries))
    if not measured:
        return Headline("No round is over yet: there is nothing to conclude.", (), warned)
    others = [c for c in comparisons if not by_name[c.arm].reference]
    if run.baseline is None or not others:
        first = measured[0]
        return Headline(
            f"{first.name} reached a test accuracy of {amount(first.accuracy.value)}; "
            "there is no second arm to compare it with.",
            tuple(_caveats(run, measured)),
            warned,
        )
    candidates = [c for c in others if not by_name[c.arm].drawn_down]
    chosen, title = _conclusion(run, by_name, others[0].baseline, candidates)
    lines = [*_groups_of_arms(by_name, others), *_reference(run, by_name, chosen)]
    return Headline(title, (*lines, *_caveats(run, measured)), warned)


def warnings(unit: str, summaries: Iterable[ArmSummary]) -> Iterator[str]:
    """Name the clients that a rule drew down, and how the model serves them."""
    for summary in summaries:
        for own in summary.drawn_down:
            served = "no test " + unit
            if not math.isnan(own.accuracy):
                served = f"{amount(own.accuracy)} of its test {unit} are classified correctly"
            yield (
                f"{summary.name}{' (rule as published)' if summary.as_published else ''} draws "
                f"{own.name} down: in {own.rounds} of {own.of} rounds it counted for no more than "
                f"half of its share of the training {unit} (weight down to "
                f"{amount(own.weight, digits=2)}, share {amount(own.share)}; {served}). The others "
                "may gain by what it lost, so this arm is not recommended."
            )


def _conclusion(
    run: Run, by_name: dict[str, ArmSummary], baseline: str, candidates: list[Comparison]
) -> tuple[str, str]:
    """The arm to recommend, and the sentence that says so."""
    base = by_name[baseline]
    if not candidates:
        return baseline, (
            f"No arm can be recommended over {baseline} ({amount(base.accuracy.value)}): each of "
            "the others drew a client down."
        )
    found = recommended(
        candidates,
        lambda one, other: _apart(run, one.arm, other.arm),
        lambda c: cost(by_name[c.arm]),
    )
    if found is None:
        return baseline, _nothing_helped(base, candidates)
    chosen, ties = found
    arm, change = by_name[chosen.arm], chosen.changes["accuracy"]
    return chosen.arm, (
        f"{arm.name} raised test accuracy over {baseline} from {amount(base.accuracy.value)} to "
        f"{amount(arm.accuracy.value)}: {points(change.value)} points (95 % interval "
        f"{span(change, signed=True)}){_missing(chosen, arm, base)}"
        f"{tie({c.arm: by_name[c.arm].accuracy.value - arm.accuracy.value for c in ties})}."
    )


def _nothing_helped(base: ArmSummary, candidates: list[Comparison]) -> str:
    changes = {c.arm: c.changes["accuracy"] for c in candidates}
    what, closest = none_above(changes, f"{base.name} ({amount(base.accuracy.value)})")
    change = changes[closest]
    return (
        f"Nothing helped test accuracy: {what}; the closest is {closest} with "
        f"{points(change.value)} points (95 % interval {span(change, signed=True)})."
    )


def cost(summary: ArmSummary) -> tuple[float, ...]:
    """What an arm costs, to be compared: synthetic images, a rule to steer by, bytes, seconds."""
    return summary.synthetic, summary.rule != "fedavg", summary.mb_sent, summary.seconds


def _apart(run: Run, one: str, other: str) -> bool:
    """Whether the accuracies of two arms can be told apart."""
    arms = {arm.name: arm for arm in run.arms}
    ours, theirs = (final_counts(run, arms[name]) for name in (one, other))
    return clearly_apart(run, ours, theirs, accuracy)


def _missing(best: Comparison, arm: ArmSummary, base: ArmSummary) -> str:
    word = verdict(best.changes["missing_recall"], "higher")
    before, after = amount(base.missing_recall.value), amount(arm.missing_recall.value)
    if word == UNDEFINED:
        return ""
    if word == UNCLEAR:
        return "; recall of the classes that clients lack did not clearly change"
    rose = "rose" if word == BETTER else "fell"
    return f"; recall of the classes that clients lack {rose} from {before} to {after}"


def _groups_of_arms(by_name: dict[str, ArmSummary], candidates: list[Comparison]) -> list[str]:
    """Name the arms by what happened to their accuracy and their group gap."""
    lines = []
    words = {
        BETTER: "Clearly more accurate than {base}: {arms}.",
        UNCLEAR: "No clear change of test accuracy: {arms}.",
        WORSE: "Clearly less accurate than {base}: {arms}.",
    }
    base = candidates[0].baseline
    for word, sentence in words.items():
        arms = [
            f"{c.arm} ({points(c.changes['accuracy'].value)} points)"
            for c in candidates
            if verdict(c.changes["accuracy"], "higher") == word
        ]
        if arms:
            lines.append(sentence.format(base=base, arms=", ".join(arms)))
    if line := gap_line({c.arm: c.changes for c in candidates}, base):
        lines.append(line + _beyond_chance(by_name.values(), "equalized_odds_difference"))
    return lines


def _beyond_chance(summaries: Iterable[ArmSummary], gap: str) -> str:
    measured = [s for s in summaries if s.measured and s.gaps[gap].defined]
    beyond = [s.name for s in measured if s.gaps[gap].value > s.chance_gaps[gap]]
    if not beyond:
        return " Every arm's gap is within what chance alone makes with groups of this size."
    if len(beyond) == len(measured):
        return " Every arm's gap is larger than chance alone makes."
    return f" Larger than chance alone makes: {', '.join(beyond)}."


def _reference(run: Run, by_name: dict[str, ArmSummary], chosen: str) -> list[str]:
    lines = []
    for arm in run.arms:
        summary = by_name[arm.name]
        if arm.reference and summary.measured:
            gap = by_name[chosen].accuracy.value - summary.accuracy.value
            side = "below" if gap < 0 else "above"
            lines.append(
                f"{chosen} is {abs(100 * gap):.1f} points {side} the reference {arm.name} "
                f"({amount(summary.accuracy.value)})."
            )
    return lines


def _caveats(run: Run, measured: list[ArmSummary]) -> list[str]:
    lines = [
        f"One run with seed {run.seed}: the intervals cover the choice of test {run.unit}, not the "
        "randomness of training. Repeat with other seeds before you rely on a small difference."
    ]
    baseline = run.baseline or run.arms[0]
    unfit = left_out(run, final_counts(run, baseline))
    if unfit and run.has_groups:
        lines.append(unfit)
    if len({summary.rounds for summary in measured}) > 1 or measured[0].under_way:
        done = ", ".join(f"{s.name} {s.rounds}" for s in measured)
        lines.append(f"The run is not complete; rounds so far: {done} of {run.rounds}.")
    return lines
