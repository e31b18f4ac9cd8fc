"""Wilson and multinomial bootstrap intervals."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evaluation import (
    InputError,
    bootstrap_intervals,
    chance_gaps,
    difference_interval,
    metrics,
    rates,
    wilson_interval,
)
from evaluation.audit.gaps import GAPS
from evaluation.bootstrap import resample
from evaluation.intervals import Interval


def bootstrap_interval(counts: Any, function: Callable[[Any], Any], **options: Any) -> Interval:
    return bootstrap_intervals(counts, {"": function}, **options)[""]


def test_wilson_by_hand() -> None:
    interval = wilson_interval(8, 10)
    assert (interval.value, interval.n) == (0.8, 10)
    assert (interval.low, interval.high) == pytest.approx((0.49016, 0.94332), abs=1e-5)


def test_wilson_at_the_ends() -> None:
    assert (wilson_interval(0, 5).low, wilson_interval(5, 5).high) == (0, 1)
    nothing = wilson_interval(0, 0)
    assert math.isnan(nothing.value)
    assert not nothing.defined
    with pytest.raises(InputError, match="successes 3, n 2"):
        wilson_interval(3, 2)
    with pytest.raises(InputError, match="level"):
        wilson_interval(1, 2, level=95)


def test_replicates_keep_the_total_and_the_empty_cells() -> None:
    counts = np.array([[[5, 0], [2, 3]]])
    drawn = resample(counts, 400, np.random.default_rng(0))
    assert drawn.shape == (400, 1, 2, 2)
    assert (drawn.sum(axis=(1, 2, 3)) == 10).all()
    assert (drawn[:, 0, 0, 1] == 0).all()
    np.testing.assert_allclose(drawn.mean(axis=0), counts, atol=0.3)
    assert resample(counts * 0, 3, np.random.default_rng(0)).sum() == 0


def test_bootstrap_of_an_accuracy_is_near_the_normal_interval() -> None:
    counts = np.array([[[400, 100], [100, 400]]])
    interval = bootstrap_interval(counts, rates.accuracy, replicates=4000)
    half = 1.96 * math.sqrt(0.8 * 0.2 / 1000)
    assert interval.value == 0.8
    assert (interval.low, interval.high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.003)
    assert (interval.n, interval.replicates, interval.undefined) == (1000, 4000, 0)


def test_the_same_seed_gives_the_same_interval() -> None:
    counts = np.arange(1, 19).reshape(2, 3, 3)
    first = bootstrap_interval(counts, GAPS["demographic_parity_difference"].of_counts, seed=3)
    assert first == bootstrap_interval(
        counts, GAPS["demographic_parity_difference"].of_counts, seed=3
    )
    assert first != bootstrap_interval(
        counts, GAPS["demographic_parity_difference"].of_counts, seed=4
    )


def test_a_group_that_vanishes_is_reported() -> None:
    counts = np.array([[[20, 5], [5, 20]], [[1, 0], [0, 0]]])  # one row in the second group
    interval = bootstrap_interval(counts, GAPS["accuracy_difference"].of_counts)
    assert interval.undefined == pytest.approx(math.exp(-1), abs=0.05)
    assert 0 <= interval.low <= interval.high <= 1


def test_an_undefined_metric_has_no_interval() -> None:
    functions = {"gap": GAPS["accuracy_difference"].of_counts, "accuracy": rates.accuracy}
    found = bootstrap_intervals(np.array([[[3, 1], [1, 3]]]), functions, replicates=50)
    assert math.isnan(found["gap"].low)
    assert found["gap"].undefined == 1
    assert found["accuracy"].value == 0.75
    empty = bootstrap_intervals(np.zeros((1, 2, 2), dtype=int), functions, replicates=50)
    assert math.isnan(empty["accuracy"].value)
    assert empty["accuracy"].n == 0


def test_difference_of_two_arms() -> None:
    good = np.array([[[450, 50], [50, 450]]])
    poor = np.array([[[300, 200], [200, 300]]])
    interval = difference_interval(good, poor, rates.accuracy)
    assert interval.value == pytest.approx(0.3)
    assert 0.25 < interval.low < interval.high < 0.35
    nothing = difference_interval(good, good, rates.accuracy)
    assert nothing.low < 0 < nothing.high


def _coverage(
    ours: list[float], theirs: list[float], function: Callable[..., Any], truth: float
) -> float:
    """Share of 200 pairs of tests, 200 rows of 2 classes a group, whose interval has the truth."""
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        counts = []
        for recalls in (ours, theirs):
            right = rng.binomial(100, np.repeat(recalls, 2)).reshape(-1, 2)
            wrong = 100 - right
            rows = [right[:, 0], wrong[:, 0], wrong[:, 1], right[:, 1]]
            counts.append(np.stack(rows, axis=1).reshape(-1, 2, 2))
        interval = difference_interval(*counts, function, replicates=200, seed=seed)
        covered += interval.low <= truth <= interval.high
    return covered / 200


@pytest.mark.parametrize(
    ("function", "truth"),
    [
        (GAPS["accuracy_difference"].of_counts, 0.3),
        (GAPS["equalized_odds_difference"].of_counts, 0.3),
        (metrics.worst_group_accuracy, -0.25),
        (metrics.worst_cell_recall, -0.25),
        (rates.accuracy, -0.0625),
    ],
)
def test_differences_of_extremes_cover_the_truth(
    function: Callable[..., Any], truth: float
) -> None:
    """One arm is fair: its gap is overestimated, the other's is not (percentiles: 0.65 to 0.95)."""
    assert _coverage([0.9, 0.85, 0.8, 0.6], [0.85] * 4, function, truth) >= 0.92


def test_a_difference_of_extremes_is_never_narrower_than_its_percentiles() -> None:
    uneven = np.array([[[9, 1], [1, 9]], [[6, 4], [4, 6]], [[8, 2], [2, 8]]])
    even = np.array([[[8, 2], [2, 8]]] * 3)
    rng = np.random.default_rng(5)
    drawn = [GAPS["accuracy_difference"].of_counts(resample(c, 1000, rng)) for c in (uneven, even)]
    low, high = np.quantile(drawn[0] - drawn[1], [0.025, 0.975])
    interval = difference_interval(uneven, even, GAPS["accuracy_difference"].of_counts, seed=5)
    assert interval.value == pytest.approx(0.3)
    assert -1 < interval.low == pytest.approx(low)
    assert high < interval.high < 1
    same = difference_interval(even, uneven, GAPS["accuracy_difference"].of_counts, seed=5)
    assert same.low < -0.3 < same.high


def test_a_difference_without_groups_is_undefined() -> None:
    single = np.array([[[3, 1], [1, 3]]])
    interval = difference_interval(
        single, single, GAPS["accuracy_difference"].of_counts, replicates=20
    )
    assert math.isnan(interval.value)
    assert math.isnan(interval.low)
    assert interval.undefined == 1


def test_wrong_options_are_refused() -> None:
    counts = np.ones((1, 2, 2), dtype=int)
    with pytest.raises(InputError, match="replicates"):
        bootstrap_interval(counts, rates.accuracy, replicates=0)
    with pytest.raises(InputError, match="level"):
        bootstrap_interval(counts, rates.accuracy, level=1)
    with pytest.raises(InputError, match="negative"):
        bootstrap_interval(-counts, rates.accuracy)


def test_the_interval_of_a_gap_holds_its_value_and_no_gap() -> None:
    """Percentiles of a maximum over groups lie too high; the hull reaches down."""
    even = np.array([[[8, 2], [2, 8]]] * 6)  # no gap at all, six small groups
    percentile = bootstrap_interval(even, GAPS["accuracy_difference"].of_counts)
    hull = bootstrap_interval(even, GAPS["accuracy_difference"].of_counts, kind="hull")
    assert percentile.low > percentile.value == 0
    assert (hull.low, hull.value, hull.high) == (0, 0, percentile.high)
    with pytest.raises(InputError, match="kind must be"):
        bootstrap_interval(even, GAPS["accuracy_difference"].of_counts, kind="bca")


GAP = "accuracy_difference"


def test_chance_makes_gaps_where_groups_are_small() -> None:
    small = chance_gaps(np.array([[[8, 2], [2, 8]]] * 2), [GAP])
    large = chance_gaps(np.array([[[800, 200], [200, 800]]] * 2), [GAP])
    # two groups of 20 at 80 %: the difference has sd sqrt(2 * .16 / 20)
    assert small[GAP] == pytest.approx(1.96 * math.sqrt(2 * 0.16 / 20), abs=0.06)
    assert large[GAP] == pytest.approx(1.96 * math.sqrt(2 * 0.16 / 2000), abs=0.005)


def test_a_real_gap_is_beyond_chance() -> None:
    counts = np.array([[[90, 10], [10, 90]], [[60, 40], [40, 60]]])
    assert chance_gaps(counts, [GAP])[GAP] < float(GAPS["accuracy_difference"].of_counts(counts))
    assert math.isnan(chance_gaps(counts[:1], [GAP])[GAP])
    without_a_class = np.array([[[5, 1], [0, 0]], [[4, 2], [0, 0]]])
    assert 0 < chance_gaps(without_a_class, [GAP])[GAP] < 1
    assert chance_gaps(counts, ()) == {}


def test_base_rates_do_not_enter_what_chance_makes_of_parity() -> None:
    """A perfect classifier of groups with 80 and 20 % positives: not 0.6, which is the gap."""
    counts = np.array([[[20, 0], [0, 80]], [[80, 0], [0, 20]]])
    parity = "demographic_parity_difference"
    assert chance_gaps(counts, [parity])[parity] == pytest.approx(0.14, abs=0.021)
