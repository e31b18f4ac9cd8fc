"""Sums of embeddings, their merging, and what leaves a client with noise."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic.errors import InputError
from semantic.privacy import Guarantee, gaussian_sigma
from semantic.prototypes import PrototypeSums, sensitivity, sum_prototypes
from semantic.release import NoisedPrototypes, Prototype, merge_prototypes

NAMES = ("bag", "coat", "dress")


def _embeddings(n: int, dimension: int = 8, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, dimension))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _client(seed: int, count: int = 2000, center: int = 0) -> PrototypeSums:
    """Bags that all look in one direction, some coats, and no dress."""
    rows = np.zeros((count, 8))
    rows[:, center] = 1.0
    which = np.where(np.arange(count) % 4 == 0, 1, 0)
    return sum_prototypes(rows, which, NAMES, encoder="clip")


@given(st.lists(st.integers(0, 2), min_size=1, max_size=40), st.integers(0, 3), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_any_split_over_clients_equals_the_pooled_images(
    which: list[int], cuts: int, seed: int
) -> None:
    rows = _embeddings(len(which), seed=seed)
    owner = np.random.default_rng(seed).integers(0, cuts + 1, len(which))
    parts = [
        sum_prototypes(rows[owner == c], np.array(which)[owner == c], NAMES)
        for c in range(cuts + 1)
    ]
    pooled = sum_prototypes(rows, which, NAMES)
    assert sum(part.counts for part in parts).tolist() == pooled.counts.tolist()
    assert sum(part.sums for part in parts) == pytest.approx(pooled.sums, abs=1e-6)


@given(st.lists(st.floats(-50, 50), min_size=4, max_size=4), st.integers(0, 2), st.floats(0.1, 20))
@settings(max_examples=60, deadline=None)
def test_one_example_more_changes_the_statistic_by_the_sensitivity_at_most(
    row: list[float], name: int, clip: float
) -> None:
    rows = 3 * _embeddings(5, dimension=4)
    less = sum_prototypes(rows, [0, 1, 2, 0, 1], NAMES, clip)
    more = sum_prototypes([*rows, row], [0, 1, 2, 0, 1, name], NAMES, clip)
    change = np.append((more.sums - less.sums).ravel(), more.counts - less.counts)
    assert np.linalg.norm(change) <= sensitivity(clip) * (1 + 1e-9)


def test_the_stated_sensitivity_is_reached() -> None:
    one = sum_prototypes([[2.0, 0.0]], [1], NAMES, clip=1.5)
    change = np.append(one.sums.ravel(), one.counts)
    assert np.linalg.norm(change) == pytest.approx(sensitivity(1.5))


def test_prototype_is_the_direction_of_the_mean() -> None:
    found = sum_prototypes([[1, 0], [0, 1], [0, 1]], [0, 0, 2], NAMES).prototypes()
    assert list(found) == ["bag", "dress"]
    assert found["bag"].vector == pytest.approx((0.5**0.5, 0.5**0.5))
    assert (found["bag"].count, found["bag"].cosine, found["bag"].usable) == (2, 1, True)
    assert list(sum_prototypes([[1, 0], [1, 0]], [0, 0], NAMES).prototypes(minimum=3)) == []


def test_equal_names_are_one() -> None:
    found = sum_prototypes([[1, 0], [0, 1], [0, 1]], [0, 1, 2], ("coat", "bag", "coat"))
    assert found.names == ("coat", "bag")
    assert found.counts.tolist() == [2, 1]
    assert found.sums.tolist() == [[1, 1], [0, 1]]


def test_noise_of_sums_and_counts_has_the_stated_deviation() -> None:
    mine = PrototypeSums.zero(NAMES, 4000)
    sigma = gaussian_sigma(2.0, 1e-5, 2**0.5)
    released = [mine.release(2.0, 1e-5, 1, np.random.default_rng(seed)) for seed in range(40)]
    noise = np.concatenate([r.sums.ravel() for r in released])
    assert len(noise) > 100_000
    assert noise.std() == pytest.approx(sigma, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.02 * sigma)
    assert all(np.all(r.variances == sigma**2) for r in released)
    many = PrototypeSums.zero([f"name {i}" for i in range(20_000)], 1)
    many.counts[:] = 1000
    counts = many.release(2.0, 1e-5, 1, np.random.default_rng(0)).counts
    assert len(counts) == 20_000
    assert counts.std() == pytest.approx(sigma, rel=0.03)


def test_names_below_the_minimum_are_withheld_and_said_so() -> None:
    released = _client(0).release(4.0, 1e-5, 100, np.random.default_rng(0))
    assert released.names == ("bag", "coat")
    assert released.withheld == {"dress": 1}
    assert released.sums.shape == (2, 8)
    assert released.counts == pytest.approx([1500, 500], abs=10)
    assert (released.guarantee, released.minimum) == (Guarantee(4.0, 1e-5), 100)


def test_noise_is_fresh_unless_a_generator_is_given() -> None:
    mine = _client(0)
    one, two = mine.release(4.0, 1e-5, 1), mine.release(4.0, 1e-5, 1)
    assert not np.array_equal(one.sums, two.sums)
    same = [mine.release(4.0, 1e-5, 1, np.random.default_rng(5)).sums for _ in range(2)]
    assert np.array_equal(*same)


def test_merged_releases_add_sums_and_noise_and_keep_the_larger_epsilon() -> None:
    one = _client(0).release(4.0, 1e-5, 100, np.random.default_rng(1))
    two = _client(1, count=1200, center=1).release(2.0, 1e-4, 700, np.random.default_rng(2))
    assert two.names == ("bag",)
    merged = merge_prototypes([one, two])
    other = merge_prototypes([two, one])
    assert merged.names == other.names == ("bag", "coat")
    assert np.array_equal(merged.sums, other.sums)
    assert merged.sums[0] == pytest.approx(one.sums[0] + two.sums[0])
    assert merged.sums[1] == pytest.approx(one.sums[1])
    assert merged.variances == pytest.approx(
        [one.variances[0] + two.variances[0], one.variances[1]]
    )
    assert merged.withheld == {"coat": 1, "dress": 2}
    assert merged.guarantee == Guarantee(4.0, 1e-4)
    assert merged.minimum == 100


def test_noise_to_signal_tells_what_the_noise_does_to_the_direction() -> None:
    """The stated cosine against the measured one, over many releases of one sum."""
    mine = sum_prototypes(np.tile(_embeddings(1, 64), (60, 1)), np.zeros(60, int), ("bag",))
    truth = np.array(mine.prototypes()["bag"].vector)
    rng = np.random.default_rng(0)
    found = [mine.release(2.0, 1e-5, 1, rng).prototypes()["bag"] for _ in range(200)]
    stated = np.mean([p.cosine for p in found])
    measured = np.mean([np.dot(p.vector, truth) for p in found])
    assert 0.7 < measured < 0.95
    assert stated == pytest.approx(measured, abs=0.02)
    assert all(np.linalg.norm(p.vector) == pytest.approx(1) for p in found)


def test_what_noise_alone_made_is_not_usable() -> None:
    nothing = PrototypeSums.zero(NAMES, 64)
    nothing.counts[:] = 1000
    released = nothing.release(1.0, 1e-5, 1, np.random.default_rng(0))
    assert not any(p.usable for p in released.prototypes().values())
    assert Prototype((1.0,), 9.0, float("inf")).cosine == 0


def test_json_round_trip_holds_sums_only() -> None:
    released = _client(0).release(4.0, 1e-5, 100, np.random.default_rng(0))
    text = json.dumps(released.to_json())
    back = NoisedPrototypes.from_json(json.loads(text))
    assert back.to_json() == released.to_json()
    assert np.array_equal(back.sums, released.sums)
    numbers = sum(np.size(v) for v in json.loads(text).values() if isinstance(v, list))
    assert numbers == 2 * (1 + 1 + 1 + 8)  # name, count, variance, sum: nothing per image


def test_nothing_released_survives_the_round_trip() -> None:
    released = PrototypeSums.zero(NAMES, 8).release(4.0, 1e-5, 100, np.random.default_rng(0))
    back = NoisedPrototypes.from_json(json.loads(json.dumps(released.to_json())))
    assert back.sums.shape == (0, 8)
    assert back.prototypes() == {}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": "other"}, "are no prototypes"),
        ({"variances": [1.0, -1.0]}, "'variances' holds numbers below 0"),
        ({"sums": [[1.0]]}, "'sums'"),
        ({"counts": [1.0, float("nan")]}, "'counts'"),
        ({"delta": "small"}, "'delta'"),
        ({"names": ["bag", "bag"]}, "'names' holds a name twice"),
        ({"withheld": {"coat": None}}, "'coat'"),
    ],
)
def test_malformed_json_is_named(change: dict[str, Any], named: str) -> None:
    record = _client(0).release(4.0, 1e-5, 100, np.random.default_rng(0)).to_json()
    with pytest.raises(InputError, match="are no prototypes"):
        NoisedPrototypes.from_json([record])
    with pytest.raises(InputError, match=named):
        NoisedPrototypes.from_json(record | change)
    del record["epsilon"]
    with pytest.raises(InputError, match="'epsilon' is missing"):
        NoisedPrototypes.from_json(record)


def test_what_does_not_belong_together_is_refused() -> None:
    mine = sum_prototypes(_embeddings(3), [0, 1, 2], NAMES, encoder="one").release(4.0, 1e-5, 1)
    for other in (
        PrototypeSums.zero(NAMES, 8, encoder="two"),
        PrototypeSums.zero(NAMES, 4, encoder="one"),
        PrototypeSums.zero(NAMES, 8, 2.0, "one"),
    ):
        with pytest.raises(InputError, match="do not add"):
            mine + other.release(4.0, 1e-5, 1)
    with pytest.raises(InputError, match="no client released"):
        merge_prototypes([])


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match="clip -1"):
        sum_prototypes(_embeddings(1), [0], NAMES, clip=-1)
    with pytest.raises(InputError, match="outside the 3 names"):
        sum_prototypes(_embeddings(1), [3], NAMES)
    with pytest.raises(InputError, match="1 of 2 embeddings are not finite"):
        sum_prototypes([[0.0, np.nan], [1.0, 0.0]], [0, 0], NAMES)
    with pytest.raises(InputError, match=r"got \(2, 8\) and \(1,\)"):
        sum_prototypes(_embeddings(2), [0], NAMES)
    with pytest.raises(InputError, match="minimum count 0"):
        PrototypeSums.zero(NAMES, 8).release(1.0, 1e-5, 0)
