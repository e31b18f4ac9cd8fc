"""Elections: functions of what was heard."""

from __future__ import annotations

import pytest

from fairfed.systems.peers.population import Announcement, coordinators, elect, leader_of


def _heard(costs: dict[int, float], **at: dict[int, int]) -> dict[int, Announcement]:
    versions, ages = at.get("versions", {}), at.get("ages", {})
    return {p: Announcement(c, versions.get(p, 1), ages.get(p, 1), False) for p, c in costs.items()}


PLAN = {0: 0, 1: 0, 2: 1, 3: 1}
COSTS = {0: 4.0, 1: 3.0, 2: 2.0, 3: 9.0}


def test_the_cheapest_is_elected_and_of_equals_the_lowest_number() -> None:
    assert elect(COSTS) == 2
    assert elect({5: 1.0, 3: 1.0}) == 3
    with pytest.raises(ValueError, match="empty"):
        elect({})


def test_every_cluster_has_its_own_coordinator() -> None:
    assert coordinators(PLAN, _heard(COSTS)) == {0: 1, 1: 2}


def test_who_is_not_heard_is_not_elected() -> None:
    assert coordinators(PLAN, _heard({0: 4.0, 3: 9.0})) == {0: 0, 1: 3}
    assert coordinators(PLAN, _heard({0: 4.0})) == {0: 0}
    assert coordinators(PLAN, _heard({8: 1.0})) == {}


def test_the_convener_is_the_cheapest_of_those_that_are_up_to_date() -> None:
    assert leader_of(_heard(COSTS)) == 2
    assert leader_of(_heard(COSTS, ages={2: 0})) == 1
    assert leader_of(_heard(COSTS, versions={3: 2})) == 3
