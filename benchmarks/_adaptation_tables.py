"""The tables that `adaptation.py` prints."""

from __future__ import annotations

from typing import Any

import numpy as np
from _tables import mean_sd

Settings = dict[str, Any]


def task_table(rows: dict[str, list[Settings]]) -> str:
    """Task specialisation in Markdown: means over seeds."""
    full = rows["Full"]

    def mean(runs: list[Settings], name: str) -> float:
        return float(np.mean([run[name] for run in runs]))

    target = 0.95 * mean(full, "accuracy")
    lines = [
        "| | accuracy | of full | worst cell | gap | parameters | MB / client / round | of full | "
        f"rounds to {target:.1%} |",
        "|---|" + "---:|" * 8,
    ]
    for name, runs in rows.items():
        reached = [rounds_to(run["by_round"], target) for run in runs]
        cells = [
            f"{mean(runs, 'accuracy'):.1%}",
            f"{mean(runs, 'accuracy') / mean(full, 'accuracy'):.1%}",
            f"{mean(runs, 'worst_cell'):.2f}",
            f"{mean(runs, 'gap'):.2f}",
            f"{runs[0]['parameters']:,}",
            f"{mean(runs, 'mb'):.3f}",
            f"{mean(runs, 'mb') / mean(full, 'mb'):.2%}",
            " ".join("–" if r is None else str(r) for r in reached),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def rounds_to(by_round: list[float], target: float) -> int | None:
    """The first round that reaches an accuracy; None if none does."""
    return next((i + 1 for i, value in enumerate(by_round) if value >= target), None)


def domain_table(rows: dict[str, list[Settings]]) -> str:
    """Domain specialisation in Markdown: mean ± sd over seeds."""

    def cell(runs: list[Settings], name: str, digits: int, factor: float = 1.0) -> str:
        values = [factor * run[name] for run in runs if run[name] is not None]
        return mean_sd(values, digits) if values else "–"

    lines = [
        "| generator | loss on held-out images before | after | accuracy of a classifier on its "
        "images, % | worst cell, % | MB / client / round |",
        "|---|" + "---:|" * 5,
    ]
    for name, runs in rows.items():
        cells = [cell(runs, "before", 3), cell(runs, "after", 3), cell(runs, "accuracy", 1, 100),
                 cell(runs, "worst_cell", 1, 100), f"{runs[0]['mb']:.3f}"]  # fmt: skip
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
