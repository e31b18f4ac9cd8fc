"""Sums add up to the same however rows are divided, and survive a message."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairfed.systems.heads.sums import (
    Sums,
    by_class,
    cell_weights,
    packed,
    summed,
    total,
    unpacked,
)
from fairfed.systems.heads.variants import Moments

SHAPE = (3, 2)
EVERY: tuple[Moments, ...] = ("none", "pooled", "cell")


def _rows(n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 4)), rng.integers(0, 3, n), rng.integers(0, 2, n)


def _sums(chosen: np.ndarray, moments: Moments = "cell") -> Sums:
    features, labels, groups = _rows()
    return summed(features[chosen], labels[chosen], groups[chosen], SHAPE, moments)


@given(st.lists(st.integers(0, 4), min_size=40, max_size=40), st.sampled_from(EVERY))
def test_any_division_of_the_rows_has_the_same_sums(owner: list[int], moments: Moments) -> None:
    whole = _sums(np.arange(40), moments)
    divided = total([_sums(np.flatnonzero(np.array(owner) == k), moments) for k in range(5)])
    assert (divided.counts == whole.counts).all()
    np.testing.assert_allclose(divided.sums, whole.sums, atol=1e-12)
    if moments != "none":
        assert divided.moments is not None
        assert whole.moments is not None
        np.testing.assert_allclose(divided.moments, whole.moments, atol=1e-12)


@pytest.mark.parametrize("moments", EVERY)
def test_a_message_holds_half_of_each_product_and_nothing_of_empty_cells(moments: Moments) -> None:
    own = _sums(np.flatnonzero(_rows()[1] == 1), moments)
    sent = packed(own)
    held = 2
    assert sent["sums"].shape == (held, 4)
    if moments != "none":
        assert sent["moments"].shape == (held if moments == "cell" else 1, 10)
    back = unpacked(own.counts, sent, 4, moments)
    np.testing.assert_allclose(back.sums, own.sums, rtol=1e-6)
    if moments != "none":
        assert back.moments is not None
        assert own.moments is not None
        np.testing.assert_allclose(back.moments, own.moments, rtol=1e-5, atol=1e-6)


def test_a_message_that_is_not_as_asked_for_is_refused() -> None:
    own = _sums(np.arange(40))
    sent = packed(own)
    with pytest.raises(ValueError, match=r"sums.*float32\[6, 5\]"):
        unpacked(own.counts, sent, 5, "cell")
    with pytest.raises(ValueError, match="unexpected.*moments"):
        unpacked(own.counts, sent, 4, "none")
    with pytest.raises(ValueError, match="not finite"):
        unpacked(own.counts, {**sent, "sums": sent["sums"] * np.nan}, 4, "cell")


def test_cells_weigh_as_the_balance_says_and_all_together_what_they_did() -> None:
    counts = np.array([[8, 2, 0], [1, 0, 1], [0, 0, 0]])
    known = np.array([True, True, False])
    none = cell_weights(counts, "none", known)
    assert (none == 1).all()
    even = cell_weights(counts, "class", known) * counts
    np.testing.assert_allclose(even.sum(1), [6, 6, 0])
    np.testing.assert_allclose(even[0, 0] / even[0, 1], 4)
    groups = cell_weights(counts, "group", known) * counts
    np.testing.assert_allclose(groups, [[3, 3, 0], [3, 0, 3], [0, 0, 0]])


def test_weighted_sums_are_those_of_rows_that_stand_there_as_often() -> None:
    _, labels, groups = _rows()
    often = np.array([[1, 3], [2, 1], [1, 1]])
    again = np.repeat(np.arange(40), often[labels, groups])
    weighted = by_class(_sums(np.arange(40)), often.astype(float))
    repeated = by_class(_sums(again, "pooled"), np.ones(SHAPE))
    np.testing.assert_allclose(weighted.mass, repeated.mass)
    np.testing.assert_allclose(weighted.sums, repeated.sums)
    np.testing.assert_allclose(weighted.gram, repeated.gram)
