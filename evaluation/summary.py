"""The numbers of each arm of a run, as the table of the report and of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.audit.null import chance_gaps
from evaluation.bootstrap import REPLICATES, bootstrap_intervals, difference_interval
from evaluation.clients import (
    ClientFairness,
    client_fairness,
    missing_class_weights,
    weighted_recall,
)
from evaluation.comparable import Comparable, Metric, comparable
from evaluation.drawn_down import DrawnDown, drawn_down
from evaluation.intervals import Interval, wilson_interval
from evaluation.metrics import worst_cell_recall, worst_group_accuracy
from evaluation.rates import CountArray, FloatArray, accuracy, recall_by_cell
from evaluation.records import Arm, Round, Run
from evaluation.registry import METRICS

GAPS = (
    "accuracy_difference",
    "demographic_parity_difference",
    "equal_opportunity_difference",
    "equalized_odds_difference",
)

OF_GROUPS = ("accuracy_difference", "demographic_parity_difference")
"""Gaps of rates over all rows of a group; those of the others are over rows of one class."""


@dataclass(frozen=True)
class ArmSummary:
    """One arm in numbers; NaN where a number is undefined or no round is over.

    Parameters
    ----------
    rounds, rounds_planned : int
        Rounds that are over, and those configured.
    n, clients_measured, clients : int
        Test images and clients behind the numbers, of the last round with test counts; clients of
        the split.
    accuracy, missing_recall, worst_cell_recall, worst_group_accuracy : Interval
        In [0, 1], higher is better. The reference arm's missing recall takes the classes that the
        clients of the baseline's split lack, so that the two can be compared.
    worst_cell : str
        The cell behind ``worst_cell_recall``, as ``class, group (n images)``.
    worst_class_recall : float
        Pooled recall of the worst class.
    client_fairness : ClientFairness
        Evenness of the accuracy over clients.
    gaps : dict of str to Interval
        Group gaps by name in `METRICS`; empty with fewer than two groups.
    chance_gaps : dict of str to float
        The gap that chance alone stays under in 95 % of draws; see `evaluation.audit.null`.
    group_accuracy, class_recall : dict of str to Interval
        With Wilson intervals.
    seconds, synthesis_seconds : float
        Time of all rounds; of the synthesis before them (0 without augmentation).
    mb_sent : float
        Model bytes sent down and up over all rounds, in 10⁶ bytes.
    failures, guards : int
        Client replies that were errors; times that a guard acted on a weight.
    synthetic : int
        Synthetic images that the clients trained on, in the round with most of them.
    as_published : bool
        Whether the rule was applied without cap and floor.
    drawn_down : tuple of DrawnDown
        Clients that the rule drew to the floor, or below half of their share, for several rounds.
    """

    name: str
    rule: str
    augment: bool
    domain_matching: bool
    split: str
    reference: bool
    rounds: int
    rounds_planned: int
    n: int
    clients_measured: int
    clients: int
    accuracy: Interval
    missing_recall: Interval
    worst_cell_recall: Interval
    worst_cell: str
    worst_class_recall: float
    worst_group_accuracy: Interval
    client_fairness: ClientFairness
    gaps: dict[str, Interval]
    chance_gaps: dict[str, float]
    group_accuracy: dict[str, Interval]
    class_recall: dict[str, Interval]
    seconds: float
    synthesis_seconds: float
    mb_sent: float
    failures: int
    guards: int
    synthetic: int = 0
    as_published: bool = False
    drawn_down: tuple[DrawnDown, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether at least one round with test counts is over."""
        return self.n > 0

    @property
    def under_way(self) -> bool:
        """Whether rounds are still to come."""
        return self.rounds < self.rounds_planned


@dataclass(frozen=True)
class Comparison:
    """Arm minus baseline; ``changes`` holds one interval per metric name, NaN where undefined."""

    arm: str
    baseline: str
    changes: dict[str, Interval]


HEADLINE_METRICS = {
    "accuracy": "higher",
    "missing_recall": "higher",
    "worst_cell_recall": "higher",
    "worst_group_accuracy": "higher",
    "equalized_odds_difference": "lower",
}


def missing_weights(run: Run, arm: Arm) -> FloatArray:
    """Weights of the missing classes for an arm; the reference takes those of the baseline.

    None where every client is measured with a model of its own: what a class's own holders make of
    it says nothing of those who lack it.
    """
    if arm.own_models:
        return np.zeros(len(run.classes))
    split = run.baseline.split if arm.reference and run.baseline else arm.split
    return missing_class_weights(run.splits[split].train)


def functions(run: Run, arm: Arm, kept: Comparable) -> dict[str, Metric]:
    """Metrics of an arm's counts by name; gaps and worst cases see only what can be compared."""
    weights = missing_weights(run, arm)
    found: dict[str, Metric] = {
        "accuracy": accuracy,
        "missing_recall": lambda counts: weighted_recall(counts, weights),
        "worst_cell_recall": kept.by_cell(worst_cell_recall),
        "worst_group_accuracy": kept.by_group(worst_group_accuracy),
    }
    for name in GAPS if run.has_groups else ():
        only = kept.by_group if name in OF_GROUPS else kept.by_cell
        found[name] = only(METRICS[name].function)
    return found


def final_counts(run: Run, arm: Arm) -> CountArray:
    """Pooled test counts of the arm's last measured round; all zero without one."""
    final = run.final_round(arm)
    pooled = final.pooled() if final else None
    shape = (len(run.groups), len(run.classes), len(run.classes))
    return np.zeros(shape, dtype=np.int64) if pooled is None else pooled


def _intervals(run: Run, arm: Arm, pooled: CountArray, replicates: int) -> dict[str, Interval]:
    """Percentile intervals of means, cautious ones of gaps and worst cases (extremes)."""
    every = functions(run, arm, comparable(run, pooled))
    means = {name: every[name] for name in ("accuracy", "missing_recall")}
    extremes = {name: f for name, f in every.items() if name not in means}
    options: dict[str, Any] = {"replicates": replicates, "seed": run.seed}
    return bootstrap_intervals(pooled, means, **options) | bootstrap_intervals(
        pooled, extremes, kind="hull", **options
    )


def _chance(run: Run, pooled: CountArray) -> dict[str, float]:
    """Gaps that chance makes between what can be compared."""
    if not run.has_groups:
        return {}
    kept = comparable(run, pooled)
    groups, cells = pooled * kept.groups[:, None, None], pooled * kept.cells[:, :, None]
    found = chance_gaps(groups, [name for name in GAPS if name in OF_GROUPS], seed=run.seed)
    of_cells = [name for name in GAPS if name not in OF_GROUPS]
    return found | chance_gaps(cells, of_cells, seed=run.seed)


def summarise_arm(run: Run, arm: Arm, *, replicates: int = REPLICATES) -> ArmSummary:
    """Compute the numbers of one arm; intervals are seeded with the run's seed."""
    pooled = final_counts(run, arm)
    final, history = run.final_round(arm), run.history[arm.name]
    measured = _intervals(run, arm, pooled, replicates)
    entries = [entry for item in history for entry in item.clients]
    accuracies = round_accuracies(final, run.splits[arm.split].clients)
    fairness = client_fairness(accuracies)
    synthesis = run.synthesis.seconds if arm.augment and run.synthesis else 0.0
    return ArmSummary(
        name=arm.name,
        rule=arm.rule,
        augment=arm.augment,
        domain_matching=arm.domain_matching,
        split=arm.split,
        reference=arm.reference,
        rounds=len(history),
        rounds_planned=run.rounds,
        n=int(pooled.sum()),
        clients_measured=fairness.clients,
        clients=run.splits[arm.split].clients,
        accuracy=measured["accuracy"],
        missing_recall=measured["missing_recall"],
        worst_cell_recall=measured["worst_cell_recall"],
        worst_cell=_worst_cell(pooled, run),
        worst_class_recall=METRICS["worst_class_recall"](pooled),
        worst_group_accuracy=measured["worst_group_accuracy"],
        client_fairness=fairness,
        gaps={name: measured[name] for name in GAPS if name in measured},
        chance_gaps=_chance(run, pooled),
        group_accuracy=_group_accuracy(pooled, run),
        class_recall=_class_recall(pooled, run),
        seconds=sum(item.seconds for item in history),
        synthesis_seconds=synthesis,
        mb_sent=sum(entry.bytes_up + entry.bytes_down for entry in entries) / 1e6,
        failures=sum(entry.error is not None for entry in entries),
        guards=sum(entry.guard is not None for entry in entries),
        synthetic=max((sum(e.n_synthetic for e in item.clients) for item in history), default=0),
        as_published=arm.as_published,
        drawn_down=drawn_down(run, arm, accuracies),
    )


def summarise(run: Run, *, replicates: int = REPLICATES) -> list[ArmSummary]:
    """Compute the numbers of every arm, in the order of the run."""
    return [summarise_arm(run, arm, replicates=replicates) for arm in run.arms]


def compare(run: Run, *, replicates: int = REPLICATES) -> list[Comparison]:
    """Compare every measured arm with the baseline, reference arms included."""
    baseline = run.baseline
    if baseline is None:
        return []
    theirs = final_counts(run, baseline)
    return [
        Comparison(
            arm.name,
            baseline.name,
            {
                name: difference_interval(
                    ours, theirs, function, replicates=replicates, seed=run.seed
                )
                for name, function in functions(run, arm, comparable(run, ours, theirs)).items()
                if name in HEADLINE_METRICS
            },
        )
        for arm, ours in ((arm, final_counts(run, arm)) for arm in run.arms)
        if arm != baseline and run.final_round(arm) and run.final_round(baseline)
    ]


def round_accuracies(item: Round | None, clients: int) -> FloatArray:
    """Accuracy of every client in a round; NaN for a client that reported none."""
    values = np.full(clients, np.nan)
    for entry in item.clients if item else ():
        if entry.test_counts is not None:
            values[entry.client] = float(accuracy(entry.test_counts))
    return values


def _worst_cell(pooled: CountArray, run: Run) -> str:
    recalls = recall_by_cell(pooled * comparable(run, pooled).cells[:, :, None])
    if np.isnan(recalls).all():
        return ""
    group, label = np.unravel_index(int(np.nanargmin(recalls)), recalls.shape)
    n = int(pooled[group, label].sum())
    where = f", {run.groups[group]}" if run.has_groups else ""
    return f"{run.classes[label]}{where} (n = {n})"


def _group_accuracy(pooled: CountArray, run: Run) -> dict[str, Interval]:
    return {
        name: wilson_interval(int(np.trace(counts)), int(counts.sum()))
        for name, counts in zip(run.groups, pooled, strict=True)
    }


def _class_recall(pooled: CountArray, run: Run) -> dict[str, Interval]:
    total = pooled.sum(axis=0)
    return {
        name: wilson_interval(int(total[i, i]), int(total[i].sum()))
        for i, name in enumerate(run.classes)
    }
