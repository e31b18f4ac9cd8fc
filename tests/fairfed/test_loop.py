"""Where the closed loop puts its budget, and what it remembers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evaluation.intervals import wilson_interval
from fairfed.strategies.loop import ClosedLoop, allocate, standing
from fairfed.strategies.replies import ClientReply, ReplyKeys
from fairfed.strategies.steered import FairnessSteered
from semantic.errors import InputError

BOUNDS = arrays(
    np.float64, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.floats(0, 1)
)
KEYS = ReplyKeys()


def reply(counts: Any, client: int = 0, spent: tuple[float, float] = (0, 0)) -> ClientReply:
    return ClientReply(client, 1.0, 10, 0, np.asarray(counts, np.int64), 0.0, spent=spent)


def cells(*recalls: int, rows: int = 100) -> list[list[list[int]]]:
    """Counts of one class of two and as many groups as there are recalls in percent."""
    right = [rows * recall // 100 for recall in recalls]
    return [[[r, rows - r], [0, 0]] for r in right]


@settings(deadline=None)
@given(BOUNDS, st.floats(0, 1), st.integers(0, 60), st.integers(0, 20))
def test_the_budget_is_spent_on_short_cells_and_more_on_worse_ones(
    lower: np.ndarray, overall: float, budget: int, most: int
) -> None:
    given_ = allocate(lower, overall, budget, most)
    assert given_.shape == lower.shape
    assert given_.dtype == np.int64
    short = lower < overall
    assert given_.sum() == min(budget, most * short.sum())
    assert given_.min() >= 0
    assert given_.max() <= most
    assert (given_[~short] == 0).all()
    shortfall = (overall - lower).ravel()
    for a, b in np.ndindex(shortfall.size, shortfall.size):
        if shortfall[a] > shortfall[b]:
            assert given_.flat[a] >= given_.flat[b]
    assert np.array_equal(allocate(lower, overall, budget, most), given_)
    assert (allocate(lower, overall, budget + 1, most) >= given_).all()


def test_division_by_hand() -> None:
    lower = np.array([[0.1, 0.4], [0.7, 0.9]])  # shortfalls .6, .3 and none
    assert allocate(lower, 0.7, 9, 100).tolist() == [[6, 3], [0, 0]]
    assert allocate(lower, 0.7, 9, 5).tolist() == [[5, 4], [0, 0]]
    assert allocate(lower, 0.7, 99, 5).tolist() == [[5, 5], [0, 0]]


def test_cells_stand_by_class_and_group_over_all_clients() -> None:
    one = np.zeros((2, 3, 3), np.int64)
    one[1, 2] = [1, 0, 4]  # group 1, class 2: 4 of 5
    two = np.zeros((2, 3, 3), np.int64)
    two[1, 2] = [3, 0, 2]
    two[0, 0] = [30, 0, 0]
    found = standing([one, two])
    assert found.recall.shape == (3, 2)
    assert (found.recall[2, 1], found.recall[0, 0]) == (0.6, 1.0)
    assert np.isnan(found.recall[1]).all()
    assert found.lower[2, 1] == wilson_interval(6, 10).low
    assert (found.lower[1] == 0).all()  # nobody has a row of it
    assert found.overall == wilson_interval(36, 40).low


def test_counts_beyond_64_bits_and_no_rows_at_all_do_no_harm() -> None:
    huge = np.full((1, 2, 2), 2**62 - 1)
    found = standing([huge] * 8)
    assert np.allclose([*found.lower.ravel(), found.overall], 0.5, atol=1e-6)
    nothing = standing([np.zeros((1, 2, 2), np.int64)])
    assert allocate(nothing.lower, nothing.overall, 10, 10).sum() == 0


def test_plans_add_up_and_say_what_changed() -> None:
    loop = ClosedLoop(every=2, budget=6, most=4, rounds=9)
    assert loop.observe(1, [reply(cells(90, 50))]) is None
    assert loop.instructions(KEYS) == {}
    first = loop.observe(2, [reply(cells(90, 50))])
    assert first is not None
    # bounds .83 and .40 against .63 for all; of the second class nobody has a row
    assert first["asked"] == [[0, 1], [3, 2]]
    assert first["spent"] == {"generated": 0, "reused": 0}
    assert loop.instructions(KEYS) == {"extra-cells": [0, 1, 3, 2], "new-cells": [0, 1, 3, 2]}
    assert loop.awaits([0, 1])
    loop.observe(3, [reply(cells(90, 60), 0, (4, 1)), reply(cells(90, 60), 1, (0, 3))])
    assert not loop.awaits([0, 1])
    second = loop.observe(4, [reply(cells(90, 75), 0, (9, 9)), reply(cells(90, 75), 2, (1, 0))])
    assert second is not None
    assert second["spent"] == {"generated": 5, "reused": 4}  # client 0 had told before
    assert second["change"] == [[0.0, 0.25], [None, None]]
    assert second["cumulative"] == (np.add(first["asked"], second["asked"])).tolist()
    told = loop.instructions(KEYS)
    assert np.array_equal(np.reshape(told["extra-cells"], (2, 2)), second["cumulative"])
    assert np.array_equal(np.reshape(told["new-cells"], (2, 2)), second["asked"])


def test_no_reply_and_the_last_round_ask_for_nothing() -> None:
    loop = ClosedLoop(every=2, budget=6, most=4, rounds=4)
    assert loop.observe(2, []) is None
    last = loop.observe(4, [reply(cells(90, 10))])
    assert last is not None
    assert not np.any(last["asked"])
    assert loop.instructions(KEYS) == {}


def test_a_plan_that_asks_for_nothing_leaves_the_clients_in_peace() -> None:
    loop = ClosedLoop(every=1, budget=6, most=4, rounds=9)
    loop.observe(1, [reply(cells(90, 10))])
    before = loop.instructions(KEYS)
    entry = loop.observe(2, [reply([[[0, 50], [50, 0]]] * 2, spent=(3, 0))])  # as bad everywhere
    assert entry is not None
    assert not np.any(entry["asked"])
    assert entry["spent"] == {"generated": 3, "reused": 0}
    assert loop.instructions(KEYS) == before
    assert not loop.awaits([0])


@pytest.mark.parametrize("spent", [(float("nan"), float("inf")), (-5, -1)])
def test_impossible_costs_count_nothing(spent: tuple[float, float]) -> None:
    loop = ClosedLoop(every=1, budget=6, most=4, rounds=9)
    loop.observe(1, [reply(cells(90, 10))])
    entry = loop.observe(2, [reply(cells(90, 10), spent=spent)])
    assert entry is not None
    assert entry["spent"] == {"generated": 0, "reused": 0}


def loops(rounds: int = 9, budget: int = 6) -> FairnessSteered:
    return FairnessSteered((2, 2), loop=ClosedLoop(2, budget, 4, rounds))


def test_a_strategy_keeps_its_loop_through_a_checkpoint() -> None:
    one, two = loops(), loops()
    assert one.loop is not None
    assert two.loop is not None
    one.loop.observe(2, [reply(cells(90, 50))])
    one.loop.observe(3, [reply(cells(90, 60), 1, (4, 1))])
    two.load_state_dict(json.loads(json.dumps(one.state_dict(), allow_nan=False)))
    assert two.state_dict() == one.state_dict()
    assert two.loop.instructions(KEYS) == one.loop.instructions(KEYS)
    last = [reply(cells(90, 70), client, (2, 2)) for client in (0, 1)]
    assert two.loop.observe(4, last) == one.loop.observe(4, last)


@pytest.mark.parametrize("other", [FairnessSteered((2, 2)), loops(budget=7)])
def test_a_checkpoint_of_another_loop_is_refused(other: FairnessSteered) -> None:
    for saved, here in ((loops(), other), (other, loops())):
        with pytest.raises(InputError, match="the saved strategy is loop="):
            here.load_state_dict(saved.state_dict())


@pytest.mark.parametrize("name", ["every", "budget", "most"])
def test_a_loop_that_can_do_nothing_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} = 0: expected"):
        ClosedLoop(**{"every": 2, "budget": 6, "most": 4, "rounds": 9, name: 0})
