"""Plans from gaps and a budget, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from generators.plan import Budget, plan_cells, spread
from semantic.errors import InputError
from semantic.space import known_groups

REAL = np.array([[0, 0, 0], [10, 0, 3], [40, 40, 40]])
ALL = np.ones(3, bool)


def test_spread_gives_the_first_parts_what_is_left() -> None:
    assert spread(8, 3).tolist() == [3, 3, 2]
    assert spread(0, 2).tolist() == [0, 0]


def test_lacking_class_gets_the_budget_and_short_cells_are_filled() -> None:
    wanted = plan_cells(REAL, Budget(per_class=8, cell_target=5), ALL)
    assert wanted.tolist() == [[3, 3, 2], [0, 5, 2], [0, 0, 0]]


def test_domain_matching_adds_images_of_the_present_classes() -> None:
    wanted = plan_cells(REAL, Budget(per_class=8, cell_target=5, present=9), ALL)
    assert wanted.tolist() == [[3, 3, 2], [3, 5, 3], [3, 3, 3]]


def test_nothing_is_planned_for_a_group_whose_value_is_unknown() -> None:
    known = known_groups(["f", "missing", "m"])
    wanted = plan_cells(REAL, Budget(per_class=8, cell_target=50, present=9), known)
    assert wanted.tolist() == [[4, 0, 4], [40, 0, 47], [10, 0, 10]]


def test_a_class_that_only_unknown_people_show_is_not_lacking() -> None:
    real = np.array([[0, 7]])
    wanted = plan_cells(real, Budget(per_class=8, cell_target=5), known_groups(["f", "missing"]))
    assert wanted.tolist() == [[5, 0]]


def test_crossed_groups_are_unknown_if_one_of_their_values_is() -> None:
    groups = ["f × old", "missing × old", "m × missing", "missing", "all", "missing link"]
    assert known_groups(groups).tolist() == [True, False, False, False, True, True]


def test_without_any_known_group_there_is_nothing_to_plan() -> None:
    with pytest.raises(InputError, match="every row lacks a sensitive value"):
        plan_cells(np.ones((2, 1), np.int64), Budget(1, 1), known_groups(["missing"]))


def test_nothing_is_wanted_of_a_zero_budget() -> None:
    assert plan_cells(REAL, Budget(0, 0), ALL).sum() == 0
