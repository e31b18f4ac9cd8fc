"""Each check by itself, on numbers that are easy to foresee."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from generators.curation.limits import Threshold, calibrated, rows_of
from generators.curation.measures import (
    Accepted,
    agreement,
    fault,
    is_black,
    is_blank,
    mean_pairwise,
    nearest,
    pixel_distance,
    placeholder,
)
from generators.curation.references import class_margins, read_groups
from generators.curation.settings import CHECKS, Curation
from semantic.errors import InputError

LABELS = np.array([0] * 6 + [1] * 4)
GROUPS = np.array([0] * 4 + [1] * 2 + [1] * 4)
VALUES = np.arange(10.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"checks": ("margin", "nsfw")}, "curation.checks: 'nsfw' is unknown; choose from corrupt"),
        ({"quantile": 0.0}, "curation.quantile is 0.0"),
        ({"closeness": 0.6}, r"in \(0, 0.5\]"),
        ({"max_tries": 0.5}, "curation.max_tries is 0.5; give at least 1"),
        ({"minimum": 1}, "curation.minimum is 1; give at least 2"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Curation(**settings)  # type: ignore[arg-type]
    assert Curation(checks=CHECKS).checks[0] == "corrupt"


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.full((4, 4, 3), np.nan), "not finite"),
        (np.ones((4, 4, 3)), "type float64 instead of uint8"),
        (np.ones((4, 4), np.uint8), r"shape \[4, 4\]"),
        (np.ones((4, 4, 4), np.uint8), r"shape \[4, 4, 4\]"),
        (np.ones((0, 4, 3), np.uint8), r"shape \[0, 4, 3\]"),
        (np.ones(3, np.uint8), r"shape \[3\]"),
    ],
)
def test_what_is_no_image_is_said_to_be_none(image: np.ndarray, said: str) -> None:
    import re

    assert re.search(said, fault(image))
    assert fault(placeholder(image)) == ""
    assert is_black(placeholder(image))


def test_black_and_blank_images() -> None:
    image = np.full((4, 4, 3), 255, np.uint8)
    assert fault(image) == ""
    assert not is_black(image)
    assert is_black(np.full((4, 4, 3), 7, np.uint8))
    assert not is_black(np.eye(4, dtype=np.uint8)[..., None].repeat(3, 2) * 9)
    assert is_blank(float(image.std()))
    assert not is_blank(6.0)


def test_threshold_is_a_quantile_of_the_narrowest_basis_with_enough_images() -> None:
    cell = calibrated(VALUES, LABELS, GROUPS, (0, 0), 0.5, 4)
    assert cell == Threshold(1.5, 4, "cell")
    assert calibrated(VALUES, LABELS, GROUPS, (0, 1), 0.5, 4) == Threshold(2.5, 6, "class")
    assert calibrated(VALUES, LABELS, GROUPS, (2, 0), 0.5, 4) == Threshold(4.5, 10, "all")
    assert calibrated(VALUES, LABELS, GROUPS, (2, 0), 0.5, 11) is None
    assert calibrated(VALUES, LABELS, GROUPS, (0, 1), 0.5, 4, ("cell",)) is None
    assert cell.to_json() == {"value": 1.5, "n": 4, "basis": "cell"}


def test_images_without_a_value_do_not_count() -> None:
    values = np.where(VALUES < 2, np.nan, VALUES)
    assert calibrated(values, LABELS, GROUPS, (0, 0), 0.5, 3) == Threshold(3.5, 4, "class")
    assert calibrated(np.full(10, np.inf), LABELS, GROUPS, (0, 0), 0.5, 1) is None
    assert not rows_of("configured", LABELS, GROUPS, (0, 0)).any()


@given(arrays(np.float64, 30, elements=st.floats(-5, 5)), st.floats(0.01, 0.5))
def test_at_most_the_quantile_of_real_images_fails_their_own_threshold(
    values: np.ndarray, quantile: float
) -> None:
    same = np.zeros(30, np.int64)
    limit = calibrated(values, same, same, (0, 0), quantile, 20)
    assert limit is not None
    assert (values < limit.value).mean() <= quantile + 1 / 30


def test_class_margin_sums_over_the_groups() -> None:
    scores = np.log(np.array([[[0.3, 0.3], [0.35, 0.05]]], np.float32))
    assert class_margins(scores, 0)[0] == pytest.approx(np.log(0.6 / 0.4), abs=1e-5)
    assert class_margins(scores, 1)[0] == pytest.approx(np.log(0.4 / 0.6), abs=1e-5)


def _scores(read: np.ndarray) -> np.ndarray:
    """Scores of one class whose group is read as given."""
    scores = np.full((len(read), 1, 2), np.log(0.2))
    scores[np.arange(len(read)), 0, read] = np.log(0.8)
    return scores


def test_group_that_clip_reads_like_a_coin_is_invisible_and_one_it_reads_well_is_not() -> None:
    true, labels = np.arange(100) % 2, np.zeros(100, np.int64)
    coin = read_groups(_scores((np.arange(100) // 2) % 2), labels, true, ("a", "b"), 20)
    assert (coin.accuracy, coin.chance, coin.visible) == (0.5, 0.5, False)
    mostly = np.where(np.arange(100) < 80, true, 1 - true)
    well = read_groups(_scores(mostly), labels, true, ("a", "b"), 20)
    assert well.accuracy == 0.8
    assert well.p_value == pytest.approx(5.58e-10, rel=0.01)  # binomial tail of 80 in 100
    assert well.visible
    assert well.to_json()["visible"] is True


def test_always_reading_the_frequent_group_is_no_skill() -> None:
    true = (np.arange(100) >= 90).astype(np.int64)
    constant = np.zeros(100, np.int64)
    found = read_groups(_scores(constant), constant, true, ("a", "b"), 20)
    assert (found.accuracy, found.chance) == (0.9, 0.9)
    assert not found.visible


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (np.zeros(40, np.int64), ("a", "b")),  # one group only
        (np.arange(40) % 2, ("a", "missing")),  # one named group only
        (np.arange(10) % 2, ("a", "b")),  # too few images
    ],
)
def test_where_nothing_can_be_tested_the_margin_goes_on_comparing_groups(
    groups: np.ndarray, names: tuple[str, ...]
) -> None:
    labels = np.zeros(len(groups), np.int64)
    found = read_groups(_scores(1 - groups), labels, groups, names, 20)
    assert not found.tested
    assert found.visible
    assert found.to_json()["accuracy"] is None


def test_agreement_is_the_preference_for_an_attribute_over_none() -> None:
    neutral, laces, heel = np.eye(3, dtype=np.float32)
    texts = np.stack([neutral, laces, heel])
    found = agreement(np.stack([laces, neutral]), texts, 2.0)
    sigmoid = 1 / (1 + np.exp(-2.0))
    assert found == pytest.approx([(sigmoid + 0.5) / 2, 1 - sigmoid], abs=1e-6)
    assert np.isnan(agreement(np.stack([laces]), texts[:1], 2.0)).all()


def _units(n: int, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(n, 5)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_nearest_neighbours_equal_an_explicit_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generators.curation.measures.CHUNK", 4)
    some, others = _units(11), _units(7, 1)
    apart = 1 - some @ others.T
    found = nearest(some, others)
    assert found.distances == pytest.approx(apart.min(1), abs=1e-6)
    assert found.indices.tolist() == apart.argmin(1).tolist()
    own = 1 - some @ some.T + 9 * np.eye(11)
    left_out = nearest(some, some, leave_one_out=True)
    assert left_out.indices.tolist() == own.argmin(1).tolist()
    assert np.isinf(nearest(some, others[:0]).distances).all()
    assert np.isinf(nearest(some[:1], some[:1], leave_one_out=True).distances).all()


def test_mean_pairwise_distance_equals_the_mean_over_the_pairs() -> None:
    some = _units(9)
    pairs = [1 - some[i] @ some[j] for i in range(9) for j in range(i)]
    assert mean_pairwise(some) == pytest.approx(np.mean(pairs), abs=1e-6)
    assert mean_pairwise(some[:1]) is None
    assert pixel_distance(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 3, np.uint8)) == 3.0


def test_duplicate_is_near_in_clip_and_in_pixels_of_any_accepted_image() -> None:
    accepted, units = Accepted(), _units(100)
    image = np.zeros((2, 2, 3), np.uint8)
    assert not accepted.holds_near(image, units[0], 3.0, 256.0)
    for unit in units[:90]:  # more than the room that is made at first
        accepted.add(image, unit)
    assert np.array_equal(accepted.embeddings, units[:90])
    assert accepted.holds_near(image + 1, units[70], 0.01, 2.0)
    assert not accepted.holds_near(image + 9, units[70], 0.01, 2.0)
    assert not accepted.holds_near(image, -units[70], 1e-6, 2.0)
