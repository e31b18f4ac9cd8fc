"""Sparse counts, schemas and tallies: sums that do not depend on order."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import GroupCounts
from evaluation.audit.schema import (
    MISSING,
    Axis,
    Schema,
    cut_levels,
    ordered_classes,
    ordered_levels,
    united,
)
from evaluation.audit.sparse import LARGEST, SparseCounts
from evaluation.audit.tally import Tally
from evaluation.errors import InputError
from tests.evaluation.audit.tallies import tally_of


@st.composite
def sparse(draw: st.DrawFn, shape: tuple[int, ...] = (3, 4, 2)) -> SparseCounts:
    n = draw(st.integers(0, 30))
    top = int(np.prod(shape)) - 1
    flat = draw(st.lists(st.integers(0, top), min_size=n, max_size=n))
    values = draw(st.lists(st.integers(-5, 9), min_size=2 * n, max_size=2 * n))
    return SparseCounts.collect(
        shape, np.array(flat, np.int64), np.array(values, np.int64).reshape(n, 2)
    )


@given(a=sparse(), b=sparse(), c=sparse())
@settings(max_examples=50, deadline=None)
def test_sums_are_those_of_full_arrays(a: SparseCounts, b: SparseCounts, c: SparseCounts) -> None:
    np.testing.assert_array_equal((a + b).dense(), a.dense() + b.dense())
    one, other = (a + b) + c, c + (b + a)
    np.testing.assert_array_equal(one.keys, other.keys)
    np.testing.assert_array_equal(one.values, other.values)
    assert (np.diff(one.keys) > 0).all()


@given(counts=sparse(), axes=st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True))
@settings(max_examples=50, deadline=None)
def test_marginals_are_those_of_full_arrays(counts: SparseCounts, axes: list[int]) -> None:
    gone = tuple(axis for axis in range(3) if axis not in axes)
    left = sorted(axes)
    expected = counts.dense().sum(axis=gone).transpose([*map(left.index, axes), len(axes)])
    np.testing.assert_array_equal(counts.marginal(axes).dense(), expected)


@given(counts=sparse(), lead=st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_groups_that_occur_have_full_tables(counts: SparseCounts, lead: int) -> None:
    present, table = counts.by_group(lead)
    full = counts.dense().reshape(-1, *counts.shape[lead:], counts.values.shape[1])
    assert table.shape[1:] == full.shape[1:]
    np.testing.assert_array_equal(table, full[present])
    assert table.sum() == full.sum()


@given(counts=sparse(), data=st.data())
@settings(max_examples=30, deadline=None)
def test_relabelling_moves_cells(counts: SparseCounts, data: st.DataObject) -> None:
    maps = [np.array(data.draw(st.permutations(range(size)))) for size in counts.shape]
    moved = counts.relabelled(maps, counts.shape).dense()
    for index in np.ndindex(counts.shape):
        place = tuple(m[i] for m, i in zip(maps, index, strict=True))
        np.testing.assert_array_equal(moved[place], counts.dense()[index])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="leave out a sensitive column"):
        SparseCounts.collect((LARGEST, 2), np.zeros(0, np.int64), np.zeros((0, 1), np.int64))
    a = SparseCounts.collect((2,), np.zeros(1, np.int64), np.ones((1, 1), np.int64))
    b = SparseCounts.collect((3,), np.zeros(1, np.int64), np.ones((1, 1), np.int64))
    with pytest.raises(InputError, match="do not add"):
        a + b
    assert b.marginal(()).dense().tolist() == [1]


def test_names_have_one_order() -> None:
    assert ordered_levels(["b", MISSING, "a", "b"]) == ("a", "b", MISSING)
    assert ordered_classes(["yes", "no", "maybe"], "no") == ("maybe", "yes", "no")
    assert cut_levels((25, 45.5)) == ("< 25", "25 to < 45.5", ">= 45.5")


def make(*, clients: tuple[str, ...] = ("all",), **changes: Any) -> Schema:
    fields = {"classes": ("0", "1"), "axes": (Axis("g", ("a",)),)} | changes
    return Schema("classification", clients=clients, **fields)  # type: ignore[arg-type]


def test_schemas_unite_whatever_the_order() -> None:
    a = make(classes=("x",), axes=(Axis("g", ("b", MISSING)),), clients=("s",))
    b = make(classes=("a", "y"), axes=(Axis("g", ("a",)),), clients=("r",))
    assert united(a, b) == united(b, a)
    assert united(a, b).axes[0].levels == ("a", "b", MISSING)
    assert united(a, b).classes == ("a", "x", "y")
    assert united(a, b).clients == ("r", "s")


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (make(positive="1"), "positive"),
        (make(bins=4), "bins"),
        (make(weighted=True), "weighted"),
        (make(axes=(Axis("h", ("a",)),)), "sensitive columns"),
        (make(axes=(Axis("g", cut_levels((1,)), (1,)),)), "cut points of 'g'"),
    ],
)
def test_other_settings_do_not_unite(other: Schema, what: str) -> None:
    with pytest.raises(InputError, match=what):
        united(make(), other)


@given(rows=st.lists(st.tuples(*[st.integers(0, 2)] * 4), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_counts_are_those_of_labels(rows: list[tuple[int, ...]]) -> None:
    true, predicted, a, b = np.array(rows).T
    tally = tally_of(true, predicted, {"a": a, "b": b}, classes=3, levels=3)
    for by, group in ((("b",), b), (("a", "b"), 3 * a + b), ((), 0 * a)):
        names, place = np.unique(group, return_inverse=True)
        found = tally.counts(by)
        expected = GroupCounts.from_labels(true, predicted, place, found.groups, ("0", "1", "2"))
        assert found == expected
        assert len(found.groups) == len(names)
    assert tally.n == len(rows)


@given(
    rows=st.lists(st.tuples(*[st.integers(0, 2)] * 4), min_size=2, max_size=30),
    cut=st.integers(1, 29),
)
@settings(max_examples=40, deadline=None)
def test_parts_with_other_names_add_up(rows: list[tuple[int, ...]], cut: int) -> None:
    array = np.array(rows)

    def of(part: np.ndarray) -> Tally:
        true, predicted, group, client = part.T
        return tally_of(true, predicted, {"g": group}, classes=3, client=client, clients=3)

    whole, parts = of(array), of(array[:cut]) + of(array[cut:])
    assert whole.schema == parts.schema
    assert whole.confusion is not None
    assert parts.confusion is not None
    np.testing.assert_array_equal(whole.confusion.keys, parts.confusion.keys)
    np.testing.assert_array_equal(whole.confusion.values, parts.confusion.values)
