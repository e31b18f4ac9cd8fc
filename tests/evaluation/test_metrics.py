"""Group metrics by hand: conventions, missing groups, batches, the registry."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evaluation import METRICS, InputError, get_metric, metrics, rates
from evaluation.audit.gaps import GAPS
from evaluation.audit.metrics import BY_GROUP

# group a: 8 of 10 right; group b: 3 of 5 right; group c: nobody
COUNTS = np.array([[[4, 1], [1, 4]], [[1, 1], [1, 2]], [[0, 0], [0, 0]]])


def test_rates_by_hand() -> None:
    assert rates.accuracy(COUNTS) == pytest.approx(11 / 15)
    np.testing.assert_allclose(rates.accuracy_by_group(COUNTS), [0.8, 0.6, np.nan])
    np.testing.assert_allclose(rates.recall_by_class(COUNTS), [5 / 7, 6 / 8])
    for name, expected in {
        "selection_rate": [0.5, 0.6, np.nan],
        "true_positive_rate": [0.8, 2 / 3, np.nan],
        "false_positive_rate": [0.2, 0.5, np.nan],
    }.items():
        np.testing.assert_allclose(BY_GROUP[name].values(COUNTS)[:, 0], expected)


def test_gaps_by_hand_leave_out_the_group_without_rows() -> None:
    assert GAPS["demographic_parity_difference"].of_counts(COUNTS) == pytest.approx(0.1)
    assert GAPS["demographic_parity_ratio"].of_counts(COUNTS) == pytest.approx(0.5 / 0.6)
    assert GAPS["equal_opportunity_difference"].of_counts(COUNTS) == pytest.approx(0.8 - 2 / 3)
    assert GAPS["equalized_odds_difference"].of_counts(COUNTS) == pytest.approx(0.3)
    mean = (0.3 + 0.8 - 2 / 3) / 2
    assert GAPS["equalized_odds_difference_mean"].of_counts(COUNTS) == pytest.approx(mean)
    assert GAPS["equalized_odds_ratio"].of_counts(COUNTS) == pytest.approx(0.4)
    assert GAPS["accuracy_difference"].of_counts(COUNTS) == pytest.approx(0.2)
    assert metrics.worst_group_accuracy(COUNTS) == pytest.approx(0.6)
    assert metrics.worst_cell_recall(COUNTS) == pytest.approx(0.5)
    assert metrics.worst_class_recall(COUNTS) == pytest.approx(5 / 7)


def test_a_rate_without_rows_is_left_out_or_zero_by_convention() -> None:
    counts = np.array([[[4, 1], [1, 4]], [[3, 2], [0, 0]]])  # group b: nobody positive
    assert np.isnan(GAPS["equal_opportunity_difference"].of_counts(counts))
    value = GAPS["equal_opportunity_difference"].of_counts(counts, convention="fairlearn")
    assert value == pytest.approx(0.8)
    # equalized odds falls back on the part that is defined
    assert GAPS["equalized_odds_difference"].of_counts(counts) == pytest.approx(0.2)


def test_one_group_has_no_gap() -> None:
    one = COUNTS[:1]
    for name in ("demographic_parity_difference", "accuracy_difference", "equalized_odds_ratio"):
        assert np.isnan(METRICS[name](one)), name
    assert GAPS["demographic_parity_difference"].of_counts(one, convention="fairlearn") == 0
    assert METRICS["worst_group_accuracy"](one) == pytest.approx(0.8)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_is_nan_without_rows_and_takes_batches(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert metric.description.endswith(".")
    assert np.isnan(metric(np.zeros((3, 4, 4), dtype=int)))
    rng = np.random.default_rng(1)
    batch = rng.integers(0, 9, size=(2, 3, 4, 5, 5))
    values = metric.function(batch)
    assert values.shape == (2, 3)
    assert values[1, 2] == pytest.approx(metric(batch[1, 2]))
    assert 0 <= values.min() <= values.max() <= 1
    with pytest.raises(InputError, match="expected \\(groups, classes, classes\\)"):
        metric(batch)


def test_macro_mean_skips_a_class_that_no_two_groups_have() -> None:
    counts = np.zeros((2, 3, 3), dtype=int)
    counts[0] = [[8, 2, 0], [0, 5, 5], [0, 0, 10]]
    counts[1] = [[4, 6, 0], [0, 5, 5], [0, 0, 0]]  # no rows of class 2
    assert GAPS["equal_opportunity_difference"].of_counts(counts) == pytest.approx((0.4 + 0.0) / 2)
    assert GAPS["equal_opportunity_difference"].of_counts(counts, across="worst") == pytest.approx(
        0.4
    )


def test_direction_and_lookup() -> None:
    assert get_metric("accuracy").direction == "higher"
    assert get_metric("equalized_odds_difference").direction == "lower"
    with pytest.raises(InputError, match="unknown metric 'odds'; choose one of: accuracy"):
        get_metric("odds")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"across": "x"}, "across must be"), ({"convention": "x"}, "convention must be")],
)
def test_unknown_options_are_refused(options: dict[str, Any], message: str) -> None:
    for name in ("equalized_odds_difference", "demographic_parity_ratio"):
        with pytest.raises(InputError, match=message):
            GAPS[name].of_counts(COUNTS, **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"method": "x"}, "method must be"), ({"agg": "x"}, "agg must be")],
)
def test_unknown_gaps_are_refused(changes: dict[str, Any], message: str) -> None:
    for name in ("equalized_odds_difference", "equalized_odds_ratio"):
        with pytest.raises(InputError, match=message):
            replace(GAPS[name], **changes).of_counts(COUNTS)


def test_wrong_shapes_are_refused() -> None:
    for shape in [(2, 2), (1, 2, 3), (0, 2, 2)]:
        with pytest.raises(InputError, match="counts have shape"):
            rates.accuracy(np.zeros(shape))
