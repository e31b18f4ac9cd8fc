"""What is compared between runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from evaluation.registry import METRICS, Direction
from evaluation.summary import GAPS, ArmSummary


@dataclass(frozen=True)
class Measure:
    """A number of an arm that is compared."""

    name: str
    title: str
    direction: Direction
    value: Callable[[ArmSummary], float]
    counted: bool = True


def _measures() -> tuple[Measure, ...]:
    def gap(name: str) -> Callable[[ArmSummary], float]:
        return lambda arm: arm.gaps[name].value if name in arm.gaps else math.nan

    return (
        Measure("accuracy", "Test accuracy", "higher", lambda arm: arm.accuracy.value),
        Measure("missing_recall", "Recall of missing classes", "higher",
                lambda arm: arm.missing_recall.value),
        Measure("worst_cell_recall", "Worst cell", "higher",
                lambda arm: arm.worst_cell_recall.value),
        Measure("worst_group_accuracy", "Worst group", "higher",
                lambda arm: arm.worst_group_accuracy.value),
        *(Measure(name, METRICS[name].title, "lower", gap(name)) for name in GAPS),
        Measure("client_mean", "Client mean", "higher",
                lambda arm: arm.client_fairness.mean, counted=False),
        Measure("client_worst", "Worst client", "higher",
                lambda arm: arm.client_fairness.worst, counted=False),
        Measure("client_sd", "Spread over clients (sd)", "lower",
                lambda arm: arm.client_fairness.sd, counted=False),
    )  # fmt: skip


MEASURES = _measures()
