"""Tints are drawn per client and class for training, evenly for testing."""

from __future__ import annotations

import numpy as np
import pytest

from fairfed.data import ImageTable, draw_tints
from fairfed.data.tint import class_shares, shade
from semantic.tint import TINTS


def table() -> ImageTable:
    labels = np.arange(800) % 2
    return ImageTable(
        images=np.full((800, 4, 4, 3), 255, np.uint8),
        labels=labels,
        groups=np.zeros(800, np.int64),
        test=np.arange(800) >= 400,
        classes=("a", "b"),
        group_names=("all",),
    )


CLIENTS = [np.arange(0, 800, 3), np.setdiff1d(np.arange(800), np.arange(0, 800, 3))]


def shares(alpha: float | None, seed: int = 0) -> np.ndarray:
    """Largest share of a tint in each client × class of the training rows: [2, 2]."""
    data = table()
    tints = draw_tints(data, CLIENTS, alpha, seed)
    largest = np.zeros((2, 2))
    for client, rows in enumerate(CLIENTS):
        for label in (0, 1):
            mine = rows[~data.test[rows] & (data.labels[rows] == label)]
            largest[client, label] = np.bincount(tints[mine], minlength=4).max() / mine.size
    return largest


def test_a_small_concentration_gives_one_tint_each_and_a_large_one_even_shares() -> None:
    assert (shares(0.001) > 0.95).all()
    assert (shares(1e6) < 0.4).all()
    assert (shares(None) < 0.27).all()


def test_test_images_are_even_and_do_not_depend_on_the_split() -> None:
    data = table()
    one, other = (draw_tints(data, clients, 0.1, 5) for clients in (CLIENTS, CLIENTS[::-1]))
    for label in (0, 1):
        rows = data.test & (data.labels == label)
        assert np.bincount(one[rows]).tolist() == [50, 50, 50, 50]
    np.testing.assert_array_equal(one[data.test], other[data.test])
    assert (one != other).any()


def test_same_seed_same_tints() -> None:
    data = table()
    first, again, other = (draw_tints(data, CLIENTS, 0.5, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("correlation", [0.0, 0.9, 1.0])
def test_with_a_correlation_each_class_has_a_tint_of_its_own(correlation: float) -> None:
    data = table()
    tints = draw_tints(data, CLIENTS, 0.001, 0, correlation)  # alpha has no effect
    np.testing.assert_array_equal(tints, draw_tints(data, CLIENTS, None, 0, correlation))
    for rows in CLIENTS:
        for label in (0, 1):
            mine = rows[~data.test[rows] & (data.labels[rows] == label)]
            found = np.bincount(tints[mine], minlength=4) / mine.size
            expected = class_shares(label, correlation)
            error = 4 * np.sqrt(expected * (1 - expected) / mine.size)  # four standard errors
            assert (np.abs(found - expected) <= error).all()


def test_a_correlation_leaves_the_test_images_as_they_are() -> None:
    data = table()
    plain, correlated = (draw_tints(data, CLIENTS, 0.5, 3, value) for value in (None, 0.9))
    np.testing.assert_array_equal(plain[data.test], correlated[data.test])
    assert (plain != correlated).any()


def test_the_tint_of_a_class_is_its_position_counted_round() -> None:
    np.testing.assert_allclose(class_shares(0, 0.7), [0.7, 0.1, 0.1, 0.1])
    np.testing.assert_allclose(class_shares(7, 0.7), [0.1, 0.1, 0.1, 0.7])
    np.testing.assert_allclose(class_shares(9, 0.25), [0.25] * 4)


def test_tints_become_groups_and_pixels() -> None:
    data = table()
    tints = draw_tints(data, CLIENTS, 0.5, 0)
    shaded = shade(data, tints)
    assert shaded.group_names == tuple(TINTS)
    np.testing.assert_array_equal(shaded.groups, tints)
    np.testing.assert_array_equal(shaded.images[:, 0, 0], np.array(list(TINTS.values()))[tints])
