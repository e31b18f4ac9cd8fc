"""The state machine of a peer, over a network of function calls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from flwr.app import RecordDict

from fairfed.systems.peers.schedule import PHASES
from fairfed.systems.peers.state import PeerState, recall, remember
from tests.fairfed.systems.peers.network import (
    COSTS,
    TARGETS,
    Broken,
    Gradient,
    Network,
    value,
)


def test_a_round_clusters_elects_and_merges_clusters_with_equal_weight() -> None:
    net = Network()
    net.round(1)
    assert all(net.states[peer].plan == {0: 0, 1: 0, 2: 1, 3: 1, 4: 1} for peer in TARGETS)
    assert [net.reports[peer]["coordinator"] for peer in TARGETS] == [1, 1, 2, 2, 2]
    # cluster means 1 and 11, and not the mean over five peers
    assert net.models() == [6.0] * 5
    net.round(2)
    assert net.kinds() == {"hello", "task", "cluster", "model"}
    assert all(net.reports[peer]["loss"] == 6.0 for peer in TARGETS)
    assert all(net.sites[peer].released == 1 for peer in TARGETS)


def test_steps_of_both_levels_are_taken_from_the_start() -> None:
    net = Network(cluster_step=0.5, global_step=0.5)
    net.round(1)
    # clusters: -1 + (1 + 1) / 2 = 0 and -1 + (11 + 1) / 2 = 5; both: -1 + (2.5 + 1) / 2
    assert net.models() == [0.75] * 5


def test_a_visitor_takes_no_part_and_gets_both_models() -> None:
    net = Network()
    net.round(1)
    assert net.sites[5].released == 0
    net.round(2, measuring=True)
    assert net.sites[5].measured == [6.0, 11.0]
    assert net.reports[5]["n-test"] == 4
    assert net.reports[5]["nearest"] == 1
    assert net.states[5].model is None
    assert all(5 not in net.states[peer].plan for peer in TARGETS)


def test_a_coordinator_that_fails_is_replaced_by_the_cheapest_that_is_heard() -> None:
    net = Network()
    net.round(1)
    net.round(2, lambda peer, phase: peer == 2)
    assert [net.reports[peer]["coordinator"] for peer in (0, 1, 3, 4)] == [1, 1, 4, 4]
    # without peer 2, whose target was 10, the other cluster's mean is 11.5
    assert net.models()[0] == (1 + 11.5) / 2


def test_a_coordinator_lost_within_a_round_costs_its_cluster_that_round() -> None:
    net = Network()
    net.round(1)
    late = PHASES.index("cluster")
    net.round(2, lambda peer, phase: peer == 2 and PHASES.index(phase) >= late)
    assert [net.states[peer].age for peer in TARGETS] == [2, 2, 1, 1, 1]
    assert net.models()[:2] == [1.0, 1.0]
    net.sites[3].target = net.sites[4].target = 21.0
    net.round(3, lambda peer, phase: peer == 2)
    # those that missed a model get it before they train
    assert [net.reports[peer]["loss"] for peer in (0, 1, 3, 4)] == [1.0] * 4
    assert [net.states[peer].age for peer in (0, 1, 3, 4)] == [3] * 4
    assert net.models()[3] == 11.0


def test_a_peer_that_comes_back_catches_up() -> None:
    net = Network()
    net.round(1)
    net.round(2, lambda peer, phase: peer == 2)
    net.round(3)
    assert net.reports[2]["loss"] == pytest.approx((1 + 11.5) / 2)
    assert net.reports[3]["coordinator"] == 2


def test_drift_clusters_anew_and_releases_only_the_drifted() -> None:
    net = Network()
    net.round(1)
    net.sites[4].kind = 0
    net.round(2)
    assert all(net.states[peer].version == 2 for peer in TARGETS)
    assert all(net.states[peer].plan == {0: 0, 1: 0, 2: 1, 3: 1, 4: 0} for peer in TARGETS)
    assert [net.sites[peer].released for peer in TARGETS] == [1, 1, 1, 1, 2]
    assert net.reports[4]["coordinator"] == 1
    net.round(3)
    assert net.states[0].version == 2


def test_another_training_tells_what_was_released_before() -> None:
    net = Network()
    net.round(1)
    net.sites[4].kind = 0
    net.round(2)
    first = {peer: net.states[peer].releases for peer in COSTS}
    net.states = {peer: PeerState("fomaml", releases=list(first[peer])) for peer in COSTS}
    net.sites[4].kind = 1
    net.round(1)
    net.sites[4].kind = 0
    net.round(2)
    assert [net.sites[peer].released for peer in TARGETS] == [1, 1, 1, 1, 2]
    assert all(net.states[peer].releases == first[peer] for peer in COSTS)
    assert net.states[4].release is first[4][1]
    assert all(net.states[peer].plan == {0: 0, 1: 0, 2: 1, 3: 1, 4: 0} for peer in TARGETS)


def test_the_memory_is_stored_whole_and_of_another_training_the_releases_alone() -> None:
    net, records = Network(), RecordDict()
    net.round(1)
    state = net.states[2]
    remember(records, state)
    back, other = recall(records, "reptile"), recall(records, "fomaml")
    assert back.release is back.releases[0]
    assert back.plan == state.plan
    assert sorted(back.profiles) == sorted(state.profiles)
    for found in (back, other):
        (release,) = found.releases
        for name, profile in vars(state.releases[0]).items():
            assert np.array_equal(getattr(release, name).prototype, profile.prototype)
            assert np.array_equal(getattr(release, name).histogram, profile.histogram)
    assert (other.release, other.plan, other.age) == (None, {}, 0)


def test_a_new_convener_is_sent_the_profiles_again_and_not_released_anew() -> None:
    net = Network()
    net.round(1)
    net.round(2, lambda peer, phase: peer == 2)
    assert {message.to for message in net.written if message.kind == "profile"} == {(1,)}
    assert sorted(net.states[1].profiles) == [0, 1, 3, 4]
    assert all(net.sites[peer].released == 1 for peer in TARGETS)


def test_a_task_that_is_not_finite_is_refused() -> None:
    net = Network()
    net.sites[3].target = float("nan")
    net.round(1)
    assert net.reports[2]["refused"] == 1
    assert net.models() == [(1 + 10.5) / 2] * 5
    for peer in (2, 3, 4):
        net.sites[peer].target = float("nan")
    net.round(2)
    assert net.models()[:2] == [1.0, 1.0]


def test_nothing_is_done_by_who_hears_nobody() -> None:
    net = Network()
    net.round(1, lambda peer, phase: phase == "hello")
    assert net.written == []
    assert all(net.states[peer].model is None for peer in TARGETS)


def _cheapest_in(phase: str) -> Callable[[int, str], bool]:
    return lambda peer, now: peer == 2 and now == phase


@pytest.mark.parametrize("how", ["gone", "lost"])
@pytest.mark.parametrize("phase", PHASES)
def test_whatever_one_peer_misses_there_is_one_model_of_a_round(phase: str, how: str) -> None:
    """With gradients, two models of one round would stay apart for ever."""
    net = Network("fomaml", Gradient)
    net.round(1)
    net.round(2, **{how: _cheapest_in(phase)})
    for number in (3, 4, 5):
        ages = [net.states[peer].age for peer in TARGETS]
        assert max(ages) == number - 1
        assert len({(net.states[p].age, value(net.states[p].model)) for p in TARGETS}) == len(
            set(ages)
        )
        net.round(number)
    assert len(set(net.models())) == 1
    assert [net.states[peer].age for peer in TARGETS] == [5] * 5


@pytest.mark.parametrize("phase", PHASES[1:])
def test_who_comes_back_within_a_round_goes_by_nothing_that_it_heard_before(phase: str) -> None:
    net = Network("fomaml", Gradient)
    net.round(1)
    back = PHASES.index(phase)
    net.round(2, lambda peer, now: peer == 2 and PHASES.index(now) < back)
    assert "loss" not in net.reports[2]
    assert not [message for message in net.written if message.sender == 2]
    # the cheapest of its cluster that was heard coordinates, and gives none to who was not
    assert [net.states[peer].age for peer in TARGETS] == [2, 2, 1, 2, 2]
    net.round(3)
    assert len(set(net.models())) == 1


def test_a_peer_that_was_not_heard_may_still_be_given_a_newer_model() -> None:
    net = Network()
    net.round(1)
    net.round(2, lambda peer, phase: peer == 3 and phase == "hello")
    assert net.states[3].age == 1
    net.round(3)
    assert [net.states[peer].age for peer in TARGETS] == [3] * 5


@pytest.mark.parametrize("first", [1, 2])
def test_a_coordinator_that_cannot_train_merges_the_tasks_of_the_others(first: int) -> None:
    net = Network("reptile", Broken)
    if first == 2:
        net.round(1)
    net.sites[2].target = float("inf")
    for number in range(first, first + 3):
        net.round(number)
        assert [net.reports[peer]["coordinator"] for peer in TARGETS] == [1, 1, 2, 2, 2]
        assert net.reports[2]["failed"] == 1
        # clusters 1 and 11.5, the mean of two
        assert net.models() == [6.25] * 5
        assert [net.states[peer].age for peer in TARGETS] == [number] * 5


def test_peers_whose_profile_was_lost_stay_with_their_cluster() -> None:
    net = Network()
    net.round(1)
    net.round(2, lambda peer, phase: peer == 2 or (peer == 1 and phase == "plan"))
    assert sorted(net.states[1].profiles) == []
    net.sites[4].kind = 0
    for number in (3, 4):
        net.round(number, lambda peer, phase: peer == 2)
        assert all("loss" in net.reports[peer] for peer in (0, 1, 3, 4))
    net.round(5)
    assert all(net.states[peer].plan.keys() == TARGETS.keys() for peer in TARGETS)


def test_a_peer_that_is_in_no_cluster_tells_its_profile_again() -> None:
    net = Network()
    net.round(1, lambda peer, phase: peer == 3)
    net.round(2, lost=lambda peer, phase: peer == 3 and phase == "meet")
    assert 3 not in net.states[2].plan
    net.round(3)
    assert net.states[2].plan == {0: 0, 1: 0, 2: 1, 3: 1, 4: 1}
    assert net.sites[3].released == 1
