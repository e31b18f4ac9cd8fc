"""Profiles of peers, and clustering by them."""

from __future__ import annotations

import numpy as np
import pytest

from fairfed.systems.peers.profiles import Profile, cluster_peers, drift, nearest_cluster, profile

CLASSES = ("boot", "sandal", "coat", "dress")
DIRECTIONS = np.array([[1, 0, 0.1], [0.95, 0.1, 0.1], [0, 1, 0.1], [0.1, 0.95, 0.1]])
"""Shoes are alike, and clothes are."""


def _profile(**counts: int) -> Profile:
    found = np.array([counts.get(name, 0) for name in CLASSES])
    return profile(CLASSES, found, found[:, None] * DIRECTIONS, CLASSES)


SHOES = [_profile(boot=30), _profile(sandal=20), _profile(boot=10, sandal=10)]
CLOTHES = [_profile(coat=30), _profile(dress=20), _profile(coat=5, dress=20)]
PEERS = dict(enumerate([SHOES[0], CLOTHES[0], SHOES[1], CLOTHES[1], SHOES[2], CLOTHES[2]]))


def test_profile_weighs_the_prototypes_of_classes_by_their_share() -> None:
    made = _profile(boot=30, coat=10)
    assert made.histogram.tolist() == [0.75, 0.0, 0.25, 0.0]
    units = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
    assert made.prototype == pytest.approx(0.75 * units[0] + 0.25 * units[2], abs=1e-6)


def test_profile_of_some_names_keeps_to_the_label_space() -> None:
    made = profile(("coat",), np.array([12.5]), np.array([[0.0, 4.0, 3.0]]), CLASSES)
    assert made.histogram.tolist() == [0, 0, 1, 0]
    assert made.prototype == pytest.approx([0, 0.8, 0.6])


def test_profile_of_a_peer_that_withholds_everything_is_zero_and_can_be_clustered() -> None:
    empty = profile((), np.zeros(0), np.zeros((0, 3)), CLASSES)
    assert not empty.histogram.any()
    assert not empty.prototype.any()
    assert len(cluster_peers({**PEERS, 9: empty}, 2, 1.0)) == 7
    assert drift(empty, SHOES[0]) == 0.5


def test_peers_with_alike_classes_are_one_cluster_whatever_the_order() -> None:
    expected = {0: 0, 1: 1, 2: 0, 3: 1, 4: 0, 5: 1}
    assert cluster_peers(PEERS, 2, 0.2) == expected
    assert cluster_peers(dict(reversed(PEERS.items())), 2, 0.2) == expected


def test_histogram_alone_tells_apart_what_prototypes_do_not() -> None:
    boots = {0: _profile(boot=9), 1: _profile(sandal=9), 2: _profile(boot=9, coat=1)}
    assert cluster_peers(boots, 2, 5.0) == {0: 0, 1: 1, 2: 0}


def test_silhouette_finds_the_two_kinds() -> None:
    assert cluster_peers(PEERS, 0, 0.2) == cluster_peers(PEERS, 2, 0.2)


@pytest.mark.parametrize("clusters", [0, 1, 4])
def test_one_peer_and_equal_peers_are_clustered(clusters: int) -> None:
    assert cluster_peers({7: SHOES[0]}, clusters, 1.0) == {7: 0}
    assert len(cluster_peers({1: SHOES[0], 2: SHOES[0]}, clusters, 1.0)) == 2


def test_a_visitor_is_placed_with_its_like() -> None:
    plan = cluster_peers(PEERS, 2, 0.2)
    assert nearest_cluster(_profile(sandal=4), PEERS, plan, 0.2) == 0
    assert nearest_cluster(_profile(dress=4, coat=4), PEERS, plan, 0.2) == 1
    assert nearest_cluster(_profile(sandal=4), {1: CLOTHES[0]}, plan, 0.2) == 1


def test_drift_is_zero_at_rest_and_the_share_that_changed() -> None:
    assert drift(SHOES[0], SHOES[0]) == pytest.approx(0, abs=1e-6)
    assert drift(_profile(boot=10), _profile(boot=6, sandal=4)) == pytest.approx(0.4)
    assert drift(SHOES[0], CLOTHES[0]) == pytest.approx(1)
