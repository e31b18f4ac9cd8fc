"""The tables of the report: comparison of arms, the split, synthesis, closed loops, failures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from evaluation.comparable import comparable
from evaluation.intervals import Interval
from evaluation.numbers import NBSP, amount, called, count, duration, points, span
from evaluation.records import Arm, LoopPlan, Run, Synthesis
from evaluation.report.verdicts import clearly_apart, levelled_down
from evaluation.report.words import REASONS
from evaluation.results import Column, Table
from evaluation.results_run import ResultsRun
from evaluation.summary import HEADLINE_METRICS, ArmSummary, Comparison, final_counts, functions

MAX_EVENTS = 60
MAX_LOOP_ROWS = 24


@dataclass(frozen=True)
class Cell:
    """A table cell: text, small print, a value to sort by, and whether it is best."""

    text: str
    small: str = ""
    sort: float = math.nan
    best: bool = False


@dataclass(frozen=True)
class Measured:
    """A column of the comparison: how to fill it, and the metric that says which are best.

    Without a metric nothing is starred: no interval tells noise from a difference.
    """

    title: str
    cell: Callable[[ArmSummary], Cell]
    metric: str = ""


def columns(run: Run) -> list[Measured]:
    """Return the columns of the comparison; group columns only where there are groups."""
    found = [
        Measured("Test accuracy", lambda s: _interval(s.accuracy), "accuracy"),
        Measured(
            "Recall of missing classes", lambda s: _interval(s.missing_recall), "missing_recall"
        ),
        Measured("Client mean", _client_mean),
        Measured("Worst client", lambda s: _share(s.client_fairness.worst)),
        Measured(
            "Jain index",
            lambda s: Cell(count(s.client_fairness.jain, 3), "", s.client_fairness.jain),
        ),
        Measured("Worst cell", _worst_cell, "worst_cell_recall"),
    ]
    if run.has_groups:
        gap = "equalized_odds_difference"
        found.append(Measured("Equalized odds diff.", lambda s: _interval(s.gaps[gap]), gap))
    return [
        *found,
        Measured("Rounds", _rounds),
        Measured("Time", lambda s: Cell(duration(s.seconds), _synthesis_time(s), s.seconds)),
        Measured("MB sent", lambda s: Cell(count(s.mb_sent, 1), "", s.mb_sent)),
        Measured("Failures", lambda s: Cell(count(s.failures), "", s.failures)),
    ]


def comparison_rows(
    run: Run, summaries: list[ArmSummary], comparisons: list[Comparison], shown: list[Measured]
) -> list[tuple[ArmSummary, list[Cell]]]:
    """Fill the comparison, and star in each column who cannot be told apart from the best."""
    rows = [(summary, [column.cell(summary) for column in shown]) for summary in summaries]
    ordered = sorted(rows, key=lambda row: row[0].reference)
    for i, column in enumerate(shown):
        if not column.metric:
            continue
        starred = _starred(run, summaries, comparisons, column.metric)
        for summary, cells in ordered:
            if summary.name in starred:
                cells[i] = replace(cells[i], best=True)
    return ordered


def _starred(
    run: Run, summaries: list[ArmSummary], comparisons: list[Comparison], metric: str
) -> set[str]:
    """Arms that no other is clearly better than; nobody where that is true of all.

    Out of the running are references, arms that drew a client down and, where a smaller value is
    better, those that reached it by levelling down.
    """
    direction = HEADLINE_METRICS[metric]
    levelled = {c.arm for c in comparisons if direction == "lower" and levelled_down(c.changes)}
    running = [s for s in summaries if s.measured and not s.reference and not s.drawn_down]
    arms = {arm.name: arm for arm in run.arms}
    counts = {s.name: final_counts(run, arms[s.name]) for s in running if s.name not in levelled}
    kept = comparable(run, *counts.values()) if counts else None
    if kept is None or len(counts) < 2:
        return set()
    function = functions(run, arms[next(iter(counts))], kept)[metric]
    values = {name: float(function(own)) for name, own in counts.items()}
    values = {name: value for name, value in values.items() if not math.isnan(value)}
    if len(values) < 2:
        return set()
    best = (max if direction == "higher" else min)(values, key=lambda name: values[name])
    level = {
        name
        for name in values
        if name == best or not clearly_apart(run, counts[best], counts[name], function)
    }
    return level if len(level) < len(values) else set()


def gap_sentence(run: Run, arm: Arm) -> str:
    """Count the gaps of a split in words."""
    train = run.splits[arm.split].train
    clients, n_classes, n_groups = train.shape
    classes = int((train.sum(axis=2) == 0).sum())
    cells = int((train == 0).sum())
    words = (
        f"On average a client has no training {run.unit.removesuffix('s')} of "
        f"{classes / max(1, clients):.1f} of the {n_classes} classes"
    )
    if n_groups > 1:
        words += (
            f"; of its {n_classes * n_groups} class × group cells "
            f"{cells / max(1, clients):.1f} are empty"
        )
    return words + "."


def synthesis_table(run: Run, synthesis: Synthesis) -> Table:
    """What every client asked for and got, and what was rejected why; all together last."""
    reasons = sorted({reason for client in synthesis.clients for reason in client.rejected})
    numbers = [
        (
            int(client.requested.sum()),
            int(client.accepted.sum()),
            *(int(client.rejected.get(reason, 0)) for reason in reasons),
        )
        for client in synthesis.clients
    ]
    together = _rejections(synthesis)
    asked = [sum(row[place] for row in numbers) for place in (0, 1)]
    names = [called(run.client_name(client.client)) for client in synthesis.clients]
    rows = zip(
        [*names, "All"],
        [*numbers, (*asked, *(together.get(reason, 0) for reason in reasons))],
        strict=True,
    )
    return Table(
        (
            Column("Client", "text"),
            Column("Requested", "count"),
            Column("Accepted", "count"),
            Column("Accepted, %", digits=0),
            *(Column(f"Rejected: {reason}", "count") for reason in reasons),
        ),
        tuple(
            (name, *row[:2], row[1] / row[0] if row[0] else None, *row[2:]) for name, row in rows
        ),
        title="Synthesis per client",
        total=True,
    )


def _rejections(synthesis: Synthesis) -> Mapping[str, int]:
    """Rejected images by reason over all clients."""
    if synthesis.rejected is not None:
        return synthesis.rejected
    total: Counter[str] = Counter()
    for client in synthesis.clients:
        total.update(client.rejected)
    return total


def synthesis_sentence(synthesis: Synthesis) -> str:
    """Say how much was asked for, kept, thrown away and reused."""
    requested = sum(int(client.requested.sum()) for client in synthesis.clients)
    accepted = sum(int(client.accepted.sum()) for client in synthesis.clients)
    rejected = sum(_rejections(synthesis).values())
    short = requested - accepted
    words = (
        f"Of {count(requested)} images asked for, {count(accepted)} were accepted; "
        f"{count(rejected)} others were generated and rejected. "
        f"{count(synthesis.generated)} images were generated in this run and "
        f"{count(synthesis.reused)} came from the store, in {duration(synthesis.seconds)}."
    )
    if short > 0:
        words += f" {count(short)} places stayed empty when the budget was spent."
    return words


def explained(synthesis: Synthesis) -> list[tuple[str, str]]:
    """Pair each reason with its explanation; a reason of the user's own stands for itself."""
    reasons = sorted({reason for client in synthesis.clients for reason in client.rejected})
    return [(reason, REASONS.get(reason, "as the generator names it")) for reason in reasons]


def loop_tables(run: Run) -> list[dict[str, Any]]:
    """The plans of each closed loop: in words, and a row for each cell that was asked for."""
    tables = []
    for arm in run.arms:
        plans = {r.number: r.loop for r in run.history[arm.name] if r.loop is not None}
        if plans:
            tables.append({"arm": arm.name, **_loop_table(run, plans)})
    return tables


def _loop_table(run: Run, plans: dict[int, LoopPlan]) -> dict[str, Any]:
    """One arm's plans by round; the cells with the most images first."""
    made = list(plans.values())
    first, last = made[0], made[-1]
    changes = [plan.change for plan in made if plan.change is not None]
    change = np.sum(changes, axis=0) if changes else np.full(last.lower.shape, np.nan)
    order = np.argsort(-last.cumulative, axis=None, kind="stable")
    asked = [divmod(int(i), last.lower.shape[1]) for i in order if last.cumulative.flat[i]]
    rows = [
        (
            f"{run.classes[c]}, {run.groups[g]}" if run.has_groups else run.classes[c],
            count(last.cumulative[c, g]),
            amount(first.lower[c, g]),
            amount(last.lower[c, g]),
            points(change[c, g]),
        )
        for c, g in asked
    ]
    sentence = (
        f"The cells were looked at after round {', '.join(map(str, plans))}, and "
        f"{count(last.cumulative.sum())} further images asked of every client. All clients "
        f"together generated {count(sum(plan.spent.generated for plan in made))} for that and took "
        f"{count(sum(plan.spent.reused for plan in made))} from the store, rejected ones included."
    )
    shown, left_out = rows[:MAX_LOOP_ROWS], max(0, len(rows) - MAX_LOOP_ROWS)
    return {"sentence": sentence, "rows": shown, "left_out": left_out}


def events(run: Run | ResultsRun, what: Literal["error", "guard"]) -> Table:
    """List the replies that were errors, or the times a guard acted on a weight."""
    rows = [
        (name, item.number, called(run.client_name(entry.client)), getattr(entry, what))
        for name, rounds in run.history.items()
        for item in rounds
        for entry in item.clients
        if getattr(entry, what) is not None
    ]
    heads = (Column("Arm", "text"), Column("Round", "count"), Column("Client", "text"))
    last = Column(what.capitalize(), "text")
    return Table((*heads, last), tuple(rows), f"{last.title}s")


def _interval(own: Interval, small: str = "") -> Cell:
    return Cell(amount(own.value), small or span(own), own.value)


def _share(value: float) -> Cell:
    return Cell(amount(value), "", value)


def _client_mean(summary: ArmSummary) -> Cell:
    fairness = summary.client_fairness
    spread = "" if math.isnan(fairness.sd) else f"sd {100 * fairness.sd:.1f}"
    return Cell(amount(fairness.mean), spread, fairness.mean)


def _worst_cell(summary: ArmSummary) -> Cell:
    where = summary.worst_cell.replace(" = ", f"{NBSP}={NBSP}")
    return _interval(summary.worst_cell_recall, where)


def _rounds(summary: ArmSummary) -> Cell:
    if not summary.under_way:
        return Cell(str(summary.rounds), "", summary.rounds)
    state = "under way" if summary.rounds else "none over"
    return Cell(f"{summary.rounds}{NBSP}of{NBSP}{summary.rounds_planned}", state, summary.rounds)


def _synthesis_time(summary: ArmSummary) -> str:
    return (
        f"+{NBSP}{duration(summary.synthesis_seconds)} synthesis"
        if summary.synthesis_seconds
        else ""
    )
