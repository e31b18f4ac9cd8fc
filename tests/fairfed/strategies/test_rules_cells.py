"""FedMinMax, FedFB and Parity: what the clients are told about their examples."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairfed.strategies.rules import FedFB, FedMinMax, Parity
from fairfed.strategies.rules.fedfb import fedfb_shares
from fairfed.strategies.rules.fedminmax import minmax_mixture
from fairfed.strategies.rules.parity import FLOOR, decoupled, group_gaps, integrated, target
from fairfed.strategies.signals import silent

# group 0: 6 rows, all right; group 1: 2 rows, both wrong
UNFAIR = np.array([[[3, 0], [0, 3]], [[0, 1], [1, 0]]], np.int64)


def test_minmax_by_hand() -> None:
    """(.75, .25) + .1 (0, 1) = (.75, .35); less .05 each."""
    step = minmax_mixture(UNFAIR, None, 0.1)
    assert step is not None
    assert step[0] == pytest.approx([0.7, 0.3])
    assert step[1] == pytest.approx([0.75, 0.25])
    assert minmax_mixture(np.zeros((2, 2, 2), np.int64), None, 0.1) is None


def test_minmax_tells_clients_mu_over_rho(cohort: Any) -> None:
    rule, given = FedMinMax(gamma=0.1), cohort([6, 2], counts=[UNFAIR, np.zeros((2, 2, 2))])
    assert rule.cell_weights() is None
    assert rule.weigh(given, silent(2)).weight.tolist() == [0.75, 0.25]
    told = rule.cell_weights()
    assert told == pytest.approx(np.array([[0.7 / 0.75] * 2, [0.3 / 0.25] * 2]))
    for _ in range(60):
        rule.weigh(given, silent(2))
    assert rule.cell_weights() == pytest.approx(np.array([[0.0] * 2, [4.0] * 2]))


def test_minmax_without_a_step_is_fedavg(cohort: Any) -> None:
    rule, given = FedMinMax(gamma=0.0), cohort([6, 2], counts=[UNFAIR, UNFAIR])
    rule.weigh(given, silent(2))
    assert rule.cell_weights() == pytest.approx(np.ones((2, 2)))


def test_fedfb_moves_shares_within_each_class() -> None:
    """Per class: shares (.75, .25), errors (0, 1), f = (-.5, .5); step .2 gives (.65, .35)."""
    shares, held = fedfb_shares(UNFAIR, None, 0.2)
    assert held == pytest.approx(np.array([[0.75] * 2, [0.25] * 2]))
    assert shares == pytest.approx(np.array([[0.65] * 2, [0.35] * 2]))


def test_fedfb_steps_with_the_root_of_the_round(cohort: Any) -> None:
    rule, given = FedFB(alpha=0.2), cohort([1], counts=[UNFAIR], round=3)
    rule.weigh(given, silent(1))
    assert rule.cell_weights() == pytest.approx(np.array([[0.70 / 0.75] * 2, [0.30 / 0.25] * 2]))


def test_a_missing_group_or_class_moves_nothing() -> None:
    one_group = np.zeros((2, 2, 2), np.int64)
    one_group[0, 0] = [1, 2]
    shares, held = fedfb_shares(one_group, None, 0.5)
    assert shares.tolist() == held.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    back, _ = fedfb_shares(UNFAIR, shares, 0.5)
    assert back.sum(axis=0) == pytest.approx([1.0, 1.0])


def test_an_example_of_a_rare_group_counts_at_most_ten(cohort: Any) -> None:
    rare = np.array([[[999, 0], [0, 999]], [[0, 1], [1, 0]]], np.int64)
    for rule in (FedFB(alpha=5.0), FedMinMax(gamma=5.0)):
        rule.weigh(cohort([1], counts=[rare]), silent(1))
        told = rule.cell_weights()
        assert told is not None
        assert told[1].tolist() == [10.0, 10.0]
        assert (told >= 0).all()


def test_gaps_are_to_the_mean_group_of_a_class() -> None:
    assert group_gaps(UNFAIR) == pytest.approx(np.array([[-0.5] * 2, [0.5] * 2]))
    assert group_gaps(UNFAIR, first=1) == pytest.approx(np.array([[0, -0.5], [0, 0.5]]))
    only = UNFAIR.copy()
    only[1, 0] = 0
    assert group_gaps(only)[:, 0] == pytest.approx([0, 0])


def test_the_target_keeps_the_weight_of_every_class() -> None:
    """Shares (.75, .25) of each class, a half of the rows; .2 moved from one group to the other."""
    held = np.array([[3.0, 3.0], [1.0, 1.0]])
    moves = np.array([[-0.2, 0.0], [0.2, 0.0]])
    assert target(held, moves) == pytest.approx(np.array([[0.275, 0.375], [0.225, 0.125]]))
    far = target(held, 10 * moves)
    assert far.sum(axis=0) == pytest.approx([0.5, 0.5])
    assert 0 < far[0, 0] < 0.75 * FLOOR


def test_decoupling_is_the_product_of_shares() -> None:
    held = np.array([[9.0, 1.0], [1.0, 9.0]])
    assert decoupled(held, 0.0) == pytest.approx(held)
    assert decoupled(held, 1.0) == pytest.approx(np.full((2, 2), 5.0))
    assert decoupled(held, 0.5) == pytest.approx(np.array([[7.0, 3.0], [3.0, 7.0]]))
    assert decoupled(np.array([[4.0, 0.0], [2.0, 2.0]]), 1.0)[0, 1] == 0


def test_a_cell_without_rows_gets_no_weight() -> None:
    held = np.array([[3.0, 0.0], [1.0, 0.0]])
    wanted = target(held, np.array([[0.1, 0.3], [-0.1, -0.3]]))
    assert wanted[:, 1].tolist() == [0, 0]
    assert wanted.sum() == pytest.approx(1)


@given(
    arrays(np.float64, (3, 2), elements=st.floats(-1, 1)),
    arrays(np.float64, (3, 2), elements=st.floats(-1, 1)),
)
def test_the_integral_moves_no_weight_between_classes(before: Any, step: Any) -> None:
    shares = np.array([[0.5, 1.0], [0.3, 0.0], [0.2, 0.0]])
    moved = integrated(before, shares, step)
    assert moved.sum(axis=0) == pytest.approx([0, 0])
    assert moved[1:, 1].tolist() == [0, 0]


def test_parity_feeds_back_errors_until_there_are_none(cohort: Any) -> None:
    rule, told = Parity(integral=0.1, proportional=0.2, memory=0.0), []
    assert rule.cell_target() is None
    for counts in (UNFAIR, UNFAIR, np.array([[[3, 0], [0, 3]], [[1, 0], [0, 1]]])):
        assert rule.weigh(cohort([8], counts=[counts]), silent(1)).weight.tolist() == [1]
        told.append(rule.cell_target())
    # shares of the worse group: .25 + .05 (integral) + .1 (proportional); + .05; proportional off
    assert [2 * cells[1, 0] for cells in told] == pytest.approx([0.40, 0.45, 0.35])


def test_parity_without_gains_tells_the_distribution_of_the_federation(cohort: Any) -> None:
    rule = Parity(integral=0.0, proportional=0.0)
    rule.weigh(cohort([6, 2], counts=[UNFAIR, np.zeros((2, 2, 2))]), silent(2))
    assert rule.cell_target() == pytest.approx(np.array([[0.375] * 2, [0.125] * 2]))


def test_parity_goes_on_from_its_state(cohort: Any) -> None:
    one, other = Parity(), Parity()
    one.weigh(cohort([8], counts=[UNFAIR]), silent(1))
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    for rule in (one, other):
        rule.weigh(cohort([8], counts=[UNFAIR], round=2), silent(1))
    assert one.state_dict() == other.state_dict()
