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
from fairfed.strategies.rules.groups import stepped_where, with_newcomers
from fairfed.strategies.rules.parity import FLOOR, decoupled, group_gaps, integrated, target
from fairfed.strategies.signals import no_signal

# group 0: 6 rows, all right; group 1: 2 rows, both wrong
UNFAIR = np.array([[[3, 0], [0, 3]], [[0, 1], [1, 0]]], np.int64)


def test_minmax_by_hand() -> None:
    """(.75, .25) + .1 (0, 1) = (.75, .35); less .05 each."""
    start = np.array([0.75, 0.25])
    assert minmax_mixture(UNFAIR, start, 0.1) == pytest.approx([0.7, 0.3])
    assert minmax_mixture(np.zeros((2, 2, 2), np.int64), start, 0.1).tolist() == [0.75, 0.25]


def test_minmax_waits_for_rows(cohort: Any) -> None:
    rule = FedMinMax()
    rule.weigh(cohort([0], counts=[np.zeros((2, 2, 2))]), no_signal(1))
    assert rule.cell_weights() is None


def test_minmax_tells_clients_mu_over_rho(cohort: Any) -> None:
    rule, given = FedMinMax(gamma=0.1), cohort([6, 2], counts=[UNFAIR, np.zeros((2, 2, 2))])
    assert rule.cell_weights() is None
    assert rule.weigh(given, no_signal(2)).weight.tolist() == [0.75, 0.25]
    told = rule.cell_weights()
    assert told == pytest.approx(np.array([[0.7 / 0.75] * 2, [0.3 / 0.25] * 2]))
    for _ in range(60):
        rule.weigh(given, no_signal(2))
    assert rule.cell_weights() == pytest.approx(np.array([[0.0] * 2, [4.0] * 2]))


def test_minmax_without_a_step_is_fedavg(cohort: Any) -> None:
    rule, given = FedMinMax(gamma=0.0), cohort([6, 2], counts=[UNFAIR, UNFAIR])
    rule.weigh(given, no_signal(2))
    assert rule.cell_weights() == pytest.approx(np.ones((2, 2)))


def test_fedfb_moves_shares_within_each_class() -> None:
    """Per class: shares (.75, .25), errors (0, 1), f = (-.5, .5); step .2 gives (.65, .35)."""
    shares, held = fedfb_shares(UNFAIR, None, 0.2)
    assert held == pytest.approx(np.array([[0.75] * 2, [0.25] * 2]))
    assert shares == pytest.approx(np.array([[0.65] * 2, [0.35] * 2]))


def test_fedfb_steps_with_the_root_of_the_round(cohort: Any) -> None:
    rule, given = FedFB(alpha=0.2), cohort([1], counts=[UNFAIR], round=3)
    rule.weigh(given, no_signal(1))
    assert rule.cell_weights() == pytest.approx(np.array([[0.70 / 0.75] * 2, [0.30 / 0.25] * 2]))


def test_a_missing_group_or_class_moves_nothing() -> None:
    one_group = np.zeros((2, 2, 2), np.int64)
    one_group[0, 0] = [1, 2]
    start = np.array([[0.6, 0.0], [0.4, 0.0]])
    assert fedfb_shares(one_group, start, 0.5)[0].tolist() == start.tolist()


# Two clients, each with one group of 100 rows; the model serves the second group worse.
ALONE = (
    np.array([[[45, 5], [5, 45]], [[0, 0], [0, 0]]]),
    np.array([[[0, 0], [0, 0]], [[40, 10], [10, 40]]]),
)


def _round(rule: Any, cohort: Any, number: int, clients: list[int]) -> Any:
    counts = [ALONE[client] for client in clients]
    given = cohort([100] * len(clients), counts=counts, clients=clients, round=number)
    rule.weigh(given, no_signal(len(clients)))
    return rule.cell_weights()


@pytest.mark.parametrize("make", [FedFB, FedMinMax])
def test_a_group_that_is_absent_for_a_round_keeps_its_weight(cohort: Any, make: Any) -> None:
    rule = make()
    before = _round(rule, cohort, 1, [0, 1])
    assert before[1, 0] > 1 > before[0, 0] > 0
    for number, who in ((2, [0]), (3, [1]), (4, [1])):
        assert _round(rule, cohort, number, who) == pytest.approx(before)
    after = _round(rule, cohort, 5, [0, 1])
    assert (after[1] > before[1]).all()


@pytest.mark.parametrize("make", [FedFB, FedMinMax])
def test_a_group_enters_when_it_is_first_heard_of(cohort: Any, make: Any) -> None:
    late, prompt = make(), make()
    assert (_round(late, cohort, 1, [1])[1] == 1).all()
    assert _round(late, cohort, 2, [0, 1]) == pytest.approx(_round(prompt, cohort, 2, [0, 1]))


@pytest.mark.parametrize("make", [FedFB, FedMinMax])
def test_who_was_heard_of_is_in_the_state(cohort: Any, make: Any) -> None:
    one, other = make(), make()
    _round(one, cohort, 1, [0, 1])
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert np.array_equal(_round(one, cohort, 2, [1]), _round(other, cohort, 2, [1]))
    assert one.state_dict() == other.state_dict()


def test_three_groups_share_out_what_the_two_that_are_there_hold() -> None:
    here = np.array([True, False, True])
    moved = stepped_where(here, np.array([0.2, 0.5, 0.3]), np.array([0.2, 0.0]))
    # (.4, .6) + (.2, 0) less .1 each, of one half
    assert moved == pytest.approx([0.25, 0.5, 0.25])
    assert stepped_where(~here, np.array([0.5, 0.0, 0.5]), np.ones(1)).tolist() == [0.5, 0.0, 0.5]


def test_newcomers_take_their_share_and_the_others_make_room() -> None:
    before, held = np.array([6.0, 2.0, 0.0]), np.array([6.0, 2.0, 8.0])
    shares = with_newcomers(np.array([0.9, 0.1, 0.0]), before, held)
    assert shares == pytest.approx([0.45, 0.05, 0.5])
    assert with_newcomers(shares, held, held).tolist() == shares.tolist()


def test_an_example_of_a_rare_group_counts_at_most_ten(cohort: Any) -> None:
    rare = np.array([[[999, 0], [0, 999]], [[0, 1], [1, 0]]], np.int64)
    for rule in (FedFB(alpha=5.0), FedMinMax(gamma=5.0)):
        rule.weigh(cohort([1], counts=[rare]), no_signal(1))
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
        assert rule.weigh(cohort([8], counts=[counts]), no_signal(1)).weight.tolist() == [1]
        told.append(rule.cell_target())
    # shares of the worse group: .25 + .05 (integral) + .1 (proportional); + .05; proportional off
    assert [2 * cells[1, 0] for cells in told] == pytest.approx([0.40, 0.45, 0.35])


def test_parity_without_gains_tells_the_distribution_of_the_federation(cohort: Any) -> None:
    rule = Parity(integral=0.0, proportional=0.0)
    rule.weigh(cohort([6, 2], counts=[UNFAIR, np.zeros((2, 2, 2))]), no_signal(2))
    assert rule.cell_target() == pytest.approx(np.array([[0.375] * 2, [0.125] * 2]))


def test_parity_goes_on_from_its_state(cohort: Any) -> None:
    one, other = Parity(), Parity()
    one.weigh(cohort([8], counts=[UNFAIR]), no_signal(1))
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    for rule in (one, other):
        rule.weigh(cohort([8], counts=[UNFAIR], round=2), no_signal(1))
    assert one.state_dict() == other.state_dict()
