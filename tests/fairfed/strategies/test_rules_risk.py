"""AFL, q-FedAvg and TERM against closed forms and scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from fairfed.strategies.rules import AFL, QFFL, TERM, FedAvg
from fairfed.strategies.rules.fedavg import fedavg_weights
from fairfed.strategies.rules.qffl import q_fedavg
from fairfed.strategies.rules.term import term_weights
from fairfed.strategies.signals import Accuracy, Loss, WorstGroupRecall
from fairfed.strategies.weights import project_onto_simplex

NAN = float("nan")
points = st.lists(st.floats(-5, 5), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(points)
def test_the_projection_is_scipys(point: list[float]) -> None:
    given = np.asarray(point)
    ours = project_onto_simplex(given)
    found = minimize(
        lambda p: np.square(p - given).sum(),
        np.full(len(point), 1 / len(point)),
        jac=lambda p: 2 * (p - given),
        method="SLSQP",
        bounds=[(0, 1)] * len(point),
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        options={"ftol": 1e-12},
    )
    assert ours.sum() == pytest.approx(1)
    assert (ours >= 0).all()
    assert np.square(ours - given).sum() <= np.square(found.x - given).sum() + 1e-6
    assert ours == pytest.approx(found.x, abs=1e-3)


def test_the_projection_keeps_points_of_the_simplex_and_survives_size() -> None:
    assert project_onto_simplex(np.array([0.2, 0.8])) == pytest.approx([0.2, 0.8])
    assert project_onto_simplex(np.array([1e12, 0.0])).tolist() == [1.0, 0.0]
    assert project_onto_simplex(np.array([1e12, 1e12])).tolist() == [0.5, 0.5]


def test_afl_by_hand(cohort: Any) -> None:
    """(.5, .5) + .1 (1, 3) = (.6, .8), projected (.4, .6); then (.5, .9), projected (.3, .7)."""
    rule, given = AFL(gamma=0.1), cohort([50, 50], losses=[1.0, 3.0])
    assert rule.weigh(given, Loss()(given)).weight == pytest.approx([0.4, 0.6])
    assert rule.weigh(given, Loss()(given)).weight == pytest.approx([0.3, 0.7])


def test_afl_without_a_step_is_fedavg(cohort: Any) -> None:
    rule, given = AFL(gamma=0.0), cohort([30, 10, 7], losses=[9.0, 1.0, NAN])
    for _ in range(2):
        weights = rule.weigh(given, Loss()(given)).weight
        assert weights == pytest.approx(fedavg_weights(given.n).weight)


def test_afl_with_part_of_the_clients_leaves_the_others_their_mass(cohort: Any) -> None:
    rule = AFL(gamma=0.1)
    everyone = cohort([1, 1, 1, 1], losses=[1.0, 1.0, 1.0, 1.0])
    rule.weigh(everyone, Loss()(everyone))
    some = cohort([1, 1], losses=[1.0, 3.0], clients=[1, 3])
    assert rule.weigh(some, Loss()(some)).weight == pytest.approx([0.4, 0.6])
    assert rule.state_dict()["mixture"] == pytest.approx({"0": 0.25, "1": 0.2, "2": 0.25, "3": 0.3})


def test_afl_ignores_clients_that_say_nothing(cohort: Any) -> None:
    given = cohort([1, 1, 1], losses=[1.0, NAN, 3.0])
    weights = AFL(gamma=0.1).weigh(given, Loss()(given))
    assert weights.weight[1] == pytest.approx(1 / 3)
    assert weights.guards[1] == "no signal: weight not steered"


def test_q_fedavg_closed_form(cohort: Any) -> None:
    """Two clients, q = 1, L = 2, written out from the paper's definitions."""
    given = cohort([1, 9], losses=[0.5, 2.0], x=[[1.0, 0.0], [0.0, 3.0]])
    rule = QFFL(q=1.0, lipschitz=2.0)
    weights = rule.weigh(given, Loss()(given))
    delta = [2 * np.array([-1.0, 0.0]) * 0.5, 2 * np.array([0.0, -3.0]) * 2.0]
    h = [1 * 4 * 1 + 2 * 0.5, 1 * 4 * 9 + 2 * 2.0]
    expected = -(delta[0] + delta[1]) / sum(h)
    merged = rule.merge(given, Loss()(given), weights)
    assert merged["x"] == pytest.approx(expected)
    assert weights.weight == pytest.approx([0.2, 0.8])
    assert merged["bn.running_var"].tolist() == [1.0]  # a statistic is averaged, not stepped on


def test_q_zero_is_the_unweighted_mean(cohort: Any) -> None:
    given = cohort([1, 1000, 7], losses=[9.0, 1.0, 4.0], x=[[1.0, 2.0], [4.0, 5.0], [1.0, 2.0]])
    rule = QFFL(q=0.0, lipschitz=3.0)
    weights = rule.weigh(given, Loss()(given))
    assert weights.scale == 1.0
    assert rule.merge(given, Loss()(given), weights)["x"] == pytest.approx([2.0, 3.0])


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=5), st.floats(0, 50))
def test_q_fedavg_stays_finite(losses: list[float], q: float) -> None:
    weights, scale = q_fedavg(np.asarray(losses), np.ones(len(losses)), q, 10.0)
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1)
    assert 0 < scale <= 1 + 1e-12


def test_term_by_hand_and_its_limits(cohort: Any) -> None:
    n, losses = [10, 30], [np.log(2), np.log(3)]
    assert term_weights(n, losses, 1.0).weight == pytest.approx([20 / 110, 90 / 110])
    assert term_weights(n, losses, 0.0).weight.tobytes() == fedavg_weights(n).weight.tobytes()
    assert term_weights(n, losses, 1e-9).weight == pytest.approx([0.25, 0.75])
    assert term_weights(n, losses, 1e6).weight.tolist() == [0.0, 1.0]
    given = cohort(n, losses=losses)
    assert TERM(t=1.0).weigh(given, Loss()(given)).weight == pytest.approx([20 / 110, 90 / 110])


CENTRES = np.array([[0.0, 0.0], [0.1, 0.0], [4.0, 0.0]])
"""Where the clients' losses |w - c|^2 are 0: two agree and hold most of the data, one is far."""


def far_from_the_last(rule: Any, cohort: Any, rounds: int = 150) -> float:
    """Worst loss of a client after a federation of quadratic losses, one gradient step a round."""
    model = np.zeros(2)
    for number in range(1, rounds + 1):
        losses = np.square(model - CENTRES).sum(axis=1)
        moved = model - 0.1 * 2 * (model - CENTRES)
        given = cohort([50, 40, 10], losses=losses, x=moved, received=model, round=number)
        signals = Loss()(given)
        model = rule.merge(given, signals, rule.weigh(given, signals))["x"]
    return float(np.square(model - CENTRES).sum(axis=1).max())


def test_rules_of_the_loss_serve_the_worst_client_better(cohort: Any) -> None:
    """FedAvg ends at the weighted mean .44, worst loss 12.7; the best worst loss is 4, at w = 2."""
    assert far_from_the_last(FedAvg(), cohort) == pytest.approx(3.56**2)
    assert far_from_the_last(AFL(gamma=0.02), cohort) == pytest.approx(4.0, abs=0.5)
    assert far_from_the_last(TERM(t=2.0), cohort) < 5.5
    assert 4 <= far_from_the_last(QFFL(q=1.0, lipschitz=10.0), cohort) < 7
    assert far_from_the_last(QFFL(q=5.0, lipschitz=10.0), cohort) < far_from_the_last(
        QFFL(q=1.0, lipschitz=10.0), cohort
    )


def test_merits_are_turned_into_risks(cohort: Any) -> None:
    """Client 0 is right on 6 of 8 (worst cell 1/2), client 1 on 2 of 8 (worst cell 0)."""
    good = [[[2, 0], [1, 1]], [[2, 0], [1, 1]]]
    bad = [[[0, 2], [1, 1]], [[0, 2], [1, 1]]]
    given = cohort([1, 1], counts=[good, bad])
    assert Accuracy()(given).values == pytest.approx([0.75, 0.25])
    assert WorstGroupRecall()(given).values == pytest.approx([0.5, 0.0])
    for signal in (Accuracy(), WorstGroupRecall()):
        weights = TERM(t=1.0).weigh(given, signal(given)).weight
        assert weights[1] > weights[0]


def test_a_loss_that_cannot_be_is_no_signal(cohort: Any) -> None:
    given = cohort([1] * 4, losses=[NAN, float("inf"), -1.0, 1e300])
    values = Loss()(given).values
    assert np.isnan(values[:3]).all()
    assert values[3] == 1e6
