"""Rows whose sensitive value is unknown train, and steer nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evaluation import get_metric
from fairfed.strategies.aggregation import combine
from fairfed.strategies.local import loss_weights
from fairfed.strategies.loop import ClosedLoop
from fairfed.strategies.replies import ClientReply
from fairfed.strategies.weights import Bounds

Make = Callable[..., Any]
KNOWN = np.array([True, True, False])
RIGHT = [[[4, 0], [0, 4]], [[4, 0], [0, 4]]]
"""Both known groups are served perfectly."""
AWFUL = [[0, 4], [4, 0]]
FINE = [[4, 0], [0, 4]]


@pytest.mark.parametrize("rule", ["fairfed", "fairfed-exp", "fedminmax", "fedfb", "parity"])
def test_how_unknown_people_are_served_moves_nothing(cohort: Make, rule: str) -> None:
    metric = get_metric("equalized_odds_difference")

    def steered(unknown: Any, known: Any) -> Any:
        parts = combine(rule, {}, None, metric, "fedavg", None, Bounds(), None)
        counts = [[*RIGHT, unknown], [*RIGHT, FINE], [*RIGHT, FINE]]
        given = cohort([3, 2, 2], counts=counts, known=known)
        weights = parts.run(given).weights.weight
        cells, goal = parts.rule.cell_weights(), parts.rule.cell_target()
        return [weights, *(np.zeros(0) if c is None else c[:2] for c in (cells, goal))]

    for here, there in zip(steered(AWFUL, KNOWN), steered(FINE, KNOWN), strict=True):
        assert here.tobytes() == there.tobytes()
    moved = [a.tobytes() for a in steered(AWFUL, None)]
    assert moved != [a.tobytes() for a in steered(FINE, None)]


def test_the_worst_group_is_one_that_is_known(cohort: Make) -> None:
    parts = combine("term", {}, "worst-group-recall", None, "fedavg", None, Bounds(), None)
    signals = parts.run(cohort([1], counts=[[*RIGHT, AWFUL]], known=KNOWN)).signals
    assert signals.values.tolist() == [1.0]


def test_the_probe_judges_by_known_groups_alone(cohort: Make) -> None:
    def probe(model: Any) -> Any:
        return np.asarray([*RIGHT, AWFUL if model["x"][0] > 0 else FINE])

    metric = get_metric("accuracy_difference")
    parts = combine("fairfed", {}, "probe", metric, "fedavg", None, Bounds(), probe)
    given = cohort([1, 1], x=[[1, 0], [-1, 0]], probe=probe, known=KNOWN)
    assert parts.run(given).signals.values.tolist() == [0.0, 0.0]


def test_parity_leaves_the_examples_of_unknown_people_as_they_are(cohort: Make) -> None:
    """Its target has no share for them: they would weigh 0."""
    parts = combine("parity", {}, None, None, "fedavg", None, Bounds(), None)
    parts.run(cohort([3], counts=[[*RIGHT, AWFUL]], known=KNOWN))
    groups, labels = np.array([0, 1, 2, 2]), np.array([0, 1, 0, 1])
    weights = loss_weights(
        groups, labels, (3, 2), reweigh=False, cell_weights=None,
        cell_target=parts.rule.cell_target(),
    )  # fmt: skip
    assert weights is not None
    assert weights.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(("known", "asked"), [((), True), ((True, False), False)])
def test_the_closed_loop_plans_nothing_for_them(known: tuple[bool, ...], asked: bool) -> None:
    loop = ClosedLoop(every=1, budget=10, most=10, rounds=5, known=known)
    counts = np.array([[[90, 10], [40, 60]], [[0, 5], [5, 0]]])
    reply = ClientReply(client=0, counts=counts, n_real=9, n_synthetic=0, loss=1.0, seconds=0.0)
    entry = loop.observe(1, [reply])
    assert entry is not None
    cells = np.array(entry["asked"])
    assert bool(cells[:, 1].any()) == asked
    assert cells.sum() == 10
