"""Closeness to training images and the membership check."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from evaluation import InputError, wilson_interval
from evaluation.quality import Embedded, auc_interval, closeness, membership
from evaluation.quality.embedded import nearest_distances
from evaluation.quality.privacy import area_under_curve


def normal(seed: int, n: int, d: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def one_cell(vectors: np.ndarray, name: str = "boot") -> Embedded:
    return Embedded(vectors, [name] * len(vectors))


def test_new_draws_are_as_close_as_chance() -> None:
    found = closeness(normal(0, 1000), normal(1, 1000))
    for quantile, measure in found.items():
        assert measure.low is not None
        assert measure.high is not None
        assert measure.low <= quantile <= measure.high
        assert (measure.expected, measure.n_real, measure.n_synthetic) == (quantile, 1000, 1000)


def test_copies_are_found_however_few() -> None:
    training = normal(2, 400)
    made = np.concatenate([normal(3, 160), training[:40] + 1e-4])
    found = closeness(made, training)[0.01]
    close = round((found.value or 0) * 200)
    assert 40 <= close <= 48
    interval = wilson_interval(close, 200)
    assert (found.low, found.high) == (interval.low, interval.high)
    assert found.chance is not None
    assert found.chance < interval.low


def test_chance_is_rarely_surpassed_by_chance() -> None:
    """The quantile is an estimate, too, so an interval of the share alone would alarm too often."""
    rng = np.random.default_rng(14)
    over = []
    for _ in range(80):
        found = closeness(rng.normal(size=(150, 3)), rng.normal(size=(150, 3)))
        over += [(m.value or 0) > (m.chance or 0) for m in found.values()]
    assert np.mean(over) < 0.1


def test_the_quantile_is_of_leave_one_out_distances() -> None:
    training = np.arange(0.0, 40.0)[:, None] ** 2  # nearest others at 1, 1, 3, 5, ...
    made = np.array([0.4] * 15 + [10.9] * 15)[:, None]  # nearest training at 0.4 and 1.9
    found = closeness(made, training, quantiles=[0.025, 0.05])
    # the 2.5 % quantile is 1: nothing of a leave-one-out distance of 0 to itself
    assert found[0.025].value == 0.5
    assert nearest_distances(training)[:4].tolist() == [1, 1, 3, 5]


def test_too_few_images_give_the_reason_and_no_number() -> None:
    found = closeness(normal(4, 19), normal(5, 60))
    assert found[0.01].reason == "60 training images, needs 100; 19 synthetic images, needs 20"
    assert found[0.05].reason == "19 synthetic images, needs 20"
    assert found[0.01].value is found[0.05].value is None
    with pytest.raises(InputError, match="between 0 and 1"):
        closeness(normal(4, 30), normal(5, 60), quantiles=[5])


def test_membership_is_a_coin_toss_without_a_leak_and_sure_with_copies() -> None:
    training, held_out = one_cell(normal(6, 200)), one_cell(normal(7, 200))
    honest = membership(normal(8, 300), training, held_out)
    assert honest.low is not None
    assert honest.high is not None
    assert honest.low < 0.5 < honest.high
    assert (honest.expected, honest.n_real, honest.n_synthetic) == (0.5, 400, 300)
    leaky = membership(training.vectors + 1e-3, training, held_out)
    assert leaky.value == 1
    assert leaky.low is not None
    assert 0.9 < leaky.low < 1 == leaky.high


def test_membership_compares_within_cells_only() -> None:
    """A client without bags asks for bags: held-out bags are close to them, and nothing leaks."""
    training = one_cell(normal(9, 60))
    bags = normal(10, 60) + 20
    held_out = Embedded(np.concatenate([normal(11, 60), bags]), ["boot"] * 60 + ["bag"] * 60)
    made = normal(12, 60) + 20
    found = membership(made, training, held_out)
    assert found.n_real == 120
    assert found.value == pytest.approx(0.5, abs=0.12)
    separate = membership(made, training, held_out.take(np.arange(60, 120)))
    assert separate.value is None
    assert "share no class × group with 20 training images" in separate.reason
    assert membership(made[:0], training, held_out).reason == "no synthetic images"


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=20),
    st.lists(st.integers(0, 6), min_size=1, max_size=20),
)
def test_the_area_is_scikit_learns_and_its_interval_holds_it(
    ours: list[int], theirs: list[int]
) -> None:
    area = area_under_curve(np.array(ours, dtype=float), np.array(theirs, dtype=float))
    scores = [-x for x in (*ours, *theirs)]
    assert area == pytest.approx(roc_auc_score([1] * len(ours) + [0] * len(theirs), scores))
    low, high = auc_interval(area, [(len(ours), len(theirs))])
    assert 0 <= low <= area <= high <= 1
    mirrored = auc_interval(1 - area, [(len(ours), len(theirs))])
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-6)


def test_the_interval_covers_the_truth_and_narrows_with_strata() -> None:
    rng = np.random.default_rng(13)
    covered = []
    for _ in range(200):
        area = area_under_curve(rng.normal(-1, 1, 25), rng.normal(0, 1, 40))
        low, high = auc_interval(area, [(25, 40)])
        covered.append(low < 0.76025 < high)  # Φ(1/√2)
    assert 0.9 <= np.mean(covered) <= 1
    low, high = auc_interval(1.0, [(25, 25)])
    assert low < 0.95
    assert high == 1
    one, four = (auc_interval(0.7, [(25, 25)] * n) for n in (1, 4))
    assert (one[1] - one[0]) / (four[1] - four[0]) == pytest.approx(2, abs=0.15)
