"""Group counts: by hand, as a monoid, and what they refuse."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import GroupCounts, InputError

GROUPS, CLASSES = ("a", "b"), ("x", "y", "z")
rows = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)), min_size=0, max_size=30
)


Row = tuple[int, int, int]


def count(chosen: list[Row]) -> GroupCounts:
    columns = np.array(chosen, dtype=np.int64).reshape(-1, 3).T
    return GroupCounts.from_labels(*columns, GROUPS, CLASSES)


def test_counts_by_hand() -> None:
    counts = count([(0, 1, 0), (0, 1, 0), (2, 2, 1)])
    expected = np.zeros((2, 3, 3), dtype=np.int64)
    expected[0, 0, 1], expected[1, 2, 2] = 2, 1
    np.testing.assert_array_equal(counts.values, expected)
    assert counts.values.dtype == np.int64
    assert counts.n == 3


@given(rows, rows, rows)
def test_addition_is_a_commutative_monoid_that_counts_pooled_rows(
    a: list[Row], b: list[Row], c: list[Row]
) -> None:
    x, y, z = count(a), count(b), count(c)
    assert (x + y) + z == x + (y + z) == count(a + b + c)
    assert x + y == y + x
    assert hash(x + y) == hash(y + x)
    assert x + GroupCounts.zeros(GROUPS, CLASSES) == x


def test_counts_cannot_be_changed_in_place() -> None:
    source = np.zeros((2, 3, 3), dtype=np.int64)
    counts = GroupCounts(source, GROUPS, CLASSES)
    source[0, 0, 0] = 5
    assert counts.n == 0
    with pytest.raises(ValueError, match="read-only"):
        counts.values[0, 0, 0] = 1


def test_groups_or_classes_that_differ_are_not_added() -> None:
    mine = GroupCounts.zeros(("a", "b"), CLASSES)
    with pytest.raises(InputError, match="groups differ"):
        _ = mine + GroupCounts.zeros(("b", "a"), CLASSES)
    with pytest.raises(InputError, match="classes differ"):
        _ = mine + GroupCounts.zeros(("a", "b"), ("x", "y", "q"))
    with pytest.raises(TypeError):
        _ = mine + 1
    assert mine != 1


@pytest.mark.parametrize(
    ("y_true", "y_pred", "group", "message"),
    [
        ([0, 3], [0, 0], [0, 0], r"y_true row 1: index 3 is outside 0\.\.2"),
        ([0, 0], [0, -1], [0, 0], r"y_pred row 1: index -1"),
        ([0, 0], [0, 0], [2, 0], r"group row 0: index 2 is outside 0\.\.1"),
        ([0, 0], [0], [0, 0], "columns differ in length"),
        ([0.5], [0], [0], "y_true must hold integer indices"),
        ([0], [True], [0], "y_pred must hold integer indices"),
        ([[0]], [0], [0], "y_true must be one column"),
    ],
)
def test_wrong_rows_are_named(y_true: Any, y_pred: Any, group: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        GroupCounts.from_labels(y_true, y_pred, group, GROUPS, CLASSES)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 2, 2), dtype=int), "shape"),
        (np.full((2, 3, 3), -1), "negative"),
        (np.full((2, 3, 3), 0.5), "integers"),
    ],
)
def test_wrong_arrays_are_refused(values: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        GroupCounts(values, GROUPS, CLASSES)


def test_wrong_names_and_lists_are_refused() -> None:
    with pytest.raises(InputError, match="unique; repeated: a"):
        GroupCounts.zeros(("a", "a"), CLASSES)
    with pytest.raises(InputError, match="at least one class"):
        GroupCounts.zeros(("a",), ())
