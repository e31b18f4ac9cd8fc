"""Sums under masks: exact for whoever is lost, and nothing else than the sum comes out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairfed.privacy.fixed_point import BOUND, FRACTION, Words, from_words, to_words
from fairfed.privacy.masks import (
    Secrets,
    Terms,
    masked,
    opened,
    part_of,
    recovered,
    shared_out,
    threshold,
    unmasked,
)

NAMES = ("east", "north", "south", "west", "zoo")


def _fixed(name: str) -> Secrets:
    return Secrets(*(hashlib.sha256(f"{name}{part}".encode()).digest() for part in range(3)))


def _summed(
    values: Mapping[str, NDArray[Any]],
    lost: Collection[str] = (),
    silent: Collection[str] = (),
    weights: Mapping[str, float | None] | None = None,
) -> tuple[dict[str, Words], dict[str, dict[str, Words]]]:
    """A whole sum of `values` by name: `lost` send nothing, `silent` do not help to open it."""
    secrets = {name: Secrets.draw() for name in values}
    publics = {name: own.public for name, own in secrets.items()}
    needed = threshold(len(values), 0.5)
    first = Terms("a sum", publics)
    shares = {name: shared_out(name, own, first, needed) for name, own in secrets.items()}
    terms = Terms("a sum", publics, weights or dict.fromkeys(values))
    there = [name for name in values if name not in lost]
    sent = {
        name: masked(
            name,
            secrets[name],
            terms,
            to_words({"x": values[name]}, terms.weights[name], len(values)),
        )
        for name in there
    }
    helpers = [name for name in there if name not in silent]
    seeds = {True: {}, False: {}}
    for name in values:
        gone = name in lost
        parts = {
            helper: part_of(
                opened(helper, secrets[helper], first, name, shares[name][helper]), gone
            )
            for helper in helpers
        }
        seeds[gone][name] = recovered(name, parts, terms, needed, gone)
    total = {"x": np.sum([one["x"] for one in sent.values()], axis=0, dtype=np.uint64)}
    return unmasked(total, terms, seeds[False], seeds[True]), sent


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(
        st.lists(st.integers(-(2**60), 2**60), min_size=3, max_size=3), min_size=2, max_size=5
    ),
    data=st.data(),
)
def test_integers_are_exact_whoever_is_lost(values: list[list[int]], data: st.DataObject) -> None:
    given_by = dict(zip(NAMES, (np.array(own) for own in values), strict=False))
    names = sorted(given_by)
    spare = len(names) - threshold(len(names), 0.5)
    away = data.draw(st.permutations(names))[: data.draw(st.integers(0, spare))]
    lost = set(away[: data.draw(st.integers(0, len(away)))])
    words, _ = _summed(given_by, lost, set(away) - lost)
    exact = sum(given_by[name] for name in names if name not in lost)
    assert from_words(words, frozenset("x"))["x"].tolist() == exact.tolist()


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3),
    weights=st.lists(st.floats(0, 1), min_size=3, max_size=3),
)
def test_weighted_numbers_are_off_by_half_a_digit_a_site(
    values: list[float], weights: list[float]
) -> None:
    told = dict(zip(NAMES, weights, strict=False))
    given_by = dict(zip(NAMES, (np.array([own]) for own in values), strict=False))
    words, _ = _summed(given_by, weights=told)
    exact = sum(np.float64(w) * given_by[n] for n, w in told.items())
    assert abs(from_words(words)["x"] - exact).max() <= 3 * 2.0 ** -(FRACTION + 1) + 1e-12


def test_a_summand_under_masks_looks_like_noise() -> None:
    nothing = dict.fromkeys(NAMES[:3], np.zeros(20_000, np.int64))
    _, sent = _summed(nothing)
    for one in sent.values():
        bits = np.unpackbits(one["x"].view(np.uint8))
        assert abs(bits.mean() - 0.5) < 0.005  # 1.28 million bits: 11 standard deviations
    assert not np.array_equal(sent["east"]["x"], sent["north"]["x"])


def test_masks_do_not_cancel_where_sites_were_told_different_weights() -> None:
    secrets = {name: _fixed(name) for name in NAMES[:2]}
    publics = {name: own.public for name, own in secrets.items()}
    words = {"x": np.zeros(4, np.uint64)}
    even = Terms("a sum", publics, {"east": 0.5, "north": 0.5})
    other = Terms("a sum", publics, {"east": 1.0, "north": 0.0})
    own = {name: secret.own for name, secret in secrets.items()}
    sent = [masked("east", secrets["east"], even, words)["x"]]
    agreed = [*sent, masked("north", secrets["north"], even, words)["x"]]
    lied_to = [*sent, masked("north", secrets["north"], other, words)["x"]]
    assert not unmasked({"x": sum(agreed)}, even, own, {})["x"].any()
    assert unmasked({"x": sum(lied_to)}, even, own, {})["x"].all()


def test_a_share_opens_for_nobody_else_and_not_when_changed() -> None:
    secrets = {name: _fixed(name) for name in NAMES[:3]}
    terms = Terms("a sum", {name: own.public for name, own in secrets.items()})
    sealed = shared_out("east", secrets["east"], terms, 2)
    assert len(opened("north", secrets["north"], terms, "east", sealed["north"])) == 64
    for name, text, about in (
        ("south", sealed["north"], terms),
        ("north", sealed["north"][:-1] + bytes([sealed["north"][-1] ^ 1]), terms),
        ("north", sealed["north"], Terms("another sum", terms.publics)),
    ):
        with pytest.raises(ValueError, match="does not open"):
            opened(name, secrets[name], about, "east", text)


def test_wrong_and_too_few_shares_are_found_out() -> None:
    secrets = {name: _fixed(name) for name in NAMES[:3]}
    terms = Terms("a sum", {name: own.public for name, own in secrets.items()})
    sealed = shared_out("east", secrets["east"], terms, 2)
    parts = {
        name: part_of(opened(name, secrets[name], terms, "east", sealed[name]), lost=False)
        for name in ("north", "south")
    }
    assert recovered("east", parts, terms, 2, lost=False) == secrets["east"].own
    with pytest.raises(ValueError, match="1 shares of the seed of east, and 2 are needed"):
        recovered("east", {"north": parts["north"]}, terms, 2, lost=False)
    with pytest.raises(ValueError, match="another one than it has made known"):
        recovered("east", {**parts, "south": bytes(32)}, terms, 2, lost=False)


def test_the_masks_are_those_of_version_1() -> None:
    """Another version of fairfed must not silently draw other masks."""
    secrets = {name: _fixed(name) for name in NAMES[:2]}
    terms = Terms(
        "a sum", {n: own.public for n, own in secrets.items()}, {"east": None, "north": None}
    )
    found = masked("east", secrets["east"], terms, {"x": np.arange(2, dtype=np.uint64)})["x"]
    assert found.tolist() == [10243344978854005565, 15791626855113641898]


@pytest.mark.parametrize(
    ("sites", "share", "needed"),
    [(3, 0.5, 2), (3, 2 / 3, 3), (10, 2 / 3, 7), (2, 0.5, 2), (4, 0.5, 3)],
)
def test_more_than_a_share_opens_a_sum(sites: int, share: float, needed: int) -> None:
    assert threshold(sites, share) == needed


def test_what_could_overflow_or_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="array 'x' has values that are not finite"):
        to_words({"x": np.array([1.0, np.nan])}, 0.5, 3)
    with pytest.raises(ValueError, match="'x' has an entry of 4.194e\\+06"):
        to_words({"x": np.array([BOUND / 2])}, 1.0, 2)
    assert to_words({"x": np.array([2**61])}, None, 2)["x"].tolist() == [2**61]


LAYOUTS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "rows": lambda array: array,
    "columns": np.asfortranarray,
    "transposed": lambda array: np.ascontiguousarray(array.T).T,
    "every other": lambda array: np.repeat(array, 2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_is_masked_whatever_its_layout(layout: str) -> None:
    """`reshape` copies what is not laid out by rows: masks added to the copy would hide nothing."""
    plain = np.arange(12, dtype=np.int64).reshape(3, 4)
    values = dict.fromkeys(NAMES[:3], plain) | {"north": LAYOUTS[layout](plain)}
    words, sent = _summed(values)
    assert (from_words(words, frozenset("x"))["x"] == 3 * plain).all()
    for one in sent.values():
        assert not (one["x"].view(np.int64) == plain).any()


def test_an_array_without_axes_is_masked_as_any() -> None:
    words, sent = _summed(dict.fromkeys(NAMES[:3], np.array(5)))
    assert sent["east"]["x"].shape == ()
    assert sent["east"]["x"] != 5
    assert from_words(words, frozenset("x"))["x"] == 15
