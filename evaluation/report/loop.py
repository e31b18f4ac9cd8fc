"""What closed loops asked for in a run, and what changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.numbers import amount, count, points
from evaluation.records import LoopPlan, Run
from evaluation.report.tables import Cell

MAX_ROWS = 24


@dataclass(frozen=True)
class LoopTable:
    """The plans of one arm: in words, and a row for each cell that images were asked for."""

    arm: str
    sentence: str
    rows: list[list[Cell]]
    left_out: int


def loop_tables(run: Run) -> list[LoopTable]:
    """Return one table per arm with a closed loop that has made a plan."""
    tables = []
    for arm in run.arms:
        plans = {r.number: r.loop for r in run.history[arm.name] if r.loop is not None}
        if plans:
            tables.append(_table(run, arm.name, plans))
    return tables


def _table(run: Run, arm: str, plans: dict[int, LoopPlan]) -> LoopTable:
    """One arm's plans by round; the cells with the most images first."""
    made = list(plans.values())
    first, last = made[0], made[-1]
    changes = [plan.change for plan in made if plan.change is not None]
    change = np.sum(changes, axis=0) if changes else np.full(last.lower.shape, np.nan)
    order = np.argsort(-last.cumulative, axis=None, kind="stable")
    asked = [divmod(int(i), last.lower.shape[1]) for i in order if last.cumulative.flat[i]]
    rows = [
        [
            Cell(f"{run.classes[c]}, {run.groups[g]}" if run.has_groups else run.classes[c]),
            Cell(count(last.cumulative[c, g])),
            Cell(amount(first.lower[c, g])),
            Cell(amount(last.lower[c, g])),
            Cell(points(change[c, g])),
        ]
        for c, g in asked
    ]
    return LoopTable(
        arm, _sentence(list(plans), made), rows[:MAX_ROWS], max(0, len(rows) - MAX_ROWS)
    )


def _sentence(rounds: list[int], plans: list[LoopPlan]) -> str:
    """Say when plans were made and what was spent on them."""
    generated = sum(plan.spent.generated for plan in plans)
    reused = sum(plan.spent.reused for plan in plans)
    return (
        f"The cells were looked at after round {', '.join(map(str, rounds))}, and "
        f"{count(plans[-1].cumulative.sum())} further images asked of every client. All clients "
        f"together generated {count(generated)} for that and took {count(reused)} from the "
        "store, rejected ones included."
    )
