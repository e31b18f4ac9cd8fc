"""Plans from gaps and a budget, by hand."""

from __future__ import annotations

import numpy as np

from generators.plan import Budget, plan_cells, spread

REAL = np.array([[0, 0, 0], [10, 0, 3], [40, 40, 40]])


def test_spread_gives_the_first_parts_what_is_left() -> None:
    assert spread(8, 3).tolist() == [3, 3, 2]
    assert spread(0, 2).tolist() == [0, 0]


def test_lacking_class_gets_the_budget_and_short_cells_are_filled() -> None:
    wanted = plan_cells(REAL, Budget(per_class=8, cell_target=5))
    assert wanted.tolist() == [[3, 3, 2], [0, 5, 2], [0, 0, 0]]


def test_domain_matching_adds_images_of_the_present_classes() -> None:
    wanted = plan_cells(REAL, Budget(per_class=8, cell_target=5, present=9))
    assert wanted.tolist() == [[3, 3, 2], [3, 5, 3], [3, 3, 3]]


def test_nothing_is_wanted_of_a_zero_budget() -> None:
    assert plan_cells(REAL, Budget(0, 0)).sum() == 0
