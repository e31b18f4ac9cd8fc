"""Client fairness by hand, its ranges, and the recall of classes that clients lack."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import (
    InputError,
    client_accuracies,
    client_fairness,
    missing_class_weights,
    weighted_recall,
)


def test_statistics_by_hand() -> None:
    fairness = client_fairness([0.5, 0.7, 0.9, float("nan")])
    assert fairness.clients == 3
    assert fairness.mean == pytest.approx(0.7)
    assert fairness.variance == pytest.approx(0.08 / 3)
    assert fairness.sd == pytest.approx(math.sqrt(0.08 / 3))
    assert (fairness.worst, fairness.best) == (0.5, 0.9)
    assert fairness.worst_decile == 0.5
    assert fairness.jain == pytest.approx(2.1**2 / (3 * 1.55))
    assert fairness.gini == pytest.approx(8 * 0.2 / (2 * 9 * 0.7))
    p = np.array([0.5, 0.7, 0.9]) / 2.1
    assert fairness.entropy == pytest.approx(-(p * np.log(p)).sum() / math.log(3))
    assert fairness.cosine == pytest.approx(2.1 / math.sqrt(3 * 1.55))


def test_worst_decile_of_twenty_clients_is_two() -> None:
    assert client_fairness(np.arange(20) / 20).worst_decile == pytest.approx(0.025)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_ranges(values: list[float]) -> None:
    fairness = client_fairness(values)
    tiny = 1e-9
    assert 1 / len(values) - tiny <= fairness.jain <= 1 + tiny
    assert -tiny <= fairness.gini < 1
    assert -tiny <= fairness.entropy <= 1 + tiny
    assert 0 <= fairness.cosine <= 1 + tiny
    assert fairness.worst <= fairness.worst_decile <= fairness.mean + tiny
    assert fairness.mean <= fairness.best + tiny


@pytest.mark.parametrize("value", [0.0, 0.4])
def test_equal_clients_are_even(value: float) -> None:
    fairness = client_fairness([value] * 4)
    assert (fairness.jain, fairness.entropy, fairness.cosine) == pytest.approx((1, 1, 1))
    assert (fairness.sd, fairness.gini) == pytest.approx((0, 0))


def test_no_client_and_wrong_values() -> None:
    assert math.isnan(client_fairness([float("nan")]).mean)
    assert client_fairness([]).clients == 0
    with pytest.raises(InputError, match="finite"):
        client_fairness([-0.1])
    with pytest.raises(InputError, match="one number per client"):
        client_fairness([[0.1]])


def missing_recall(counts: np.ndarray, train: np.ndarray) -> float:
    return float(weighted_recall(counts.sum(axis=0), missing_class_weights(train)))


def test_missing_recall_pairs_a_client_with_the_class_that_it_lacks() -> None:
    # clients 0 and 1 lack class 1, client 2 lacks class 0; pooled recalls are 0.9 and 0.3
    counts = np.zeros((3, 1, 2, 2), dtype=int)
    counts[0, 0] = [[9, 1], [0, 0]]
    counts[2, 0] = [[0, 0], [7, 3]]
    train = np.array([[[5], [0]], [[6], [0]], [[0], [4]]])
    assert missing_recall(counts, train) == pytest.approx((0.3 + 0.3 + 0.9) / 3)
    np.testing.assert_allclose(client_accuracies(list(counts)), [0.9, np.nan, 0.3])


def test_missing_recall_is_undefined_when_nothing_is_missing() -> None:
    counts = np.ones((2, 1, 2, 2), dtype=int)
    assert math.isnan(missing_recall(counts, np.ones((2, 2, 1), dtype=int)))
    with pytest.raises(InputError, match="train cells"):
        missing_recall(counts, np.ones((2, 2), dtype=int))


def test_missing_recall_skips_classes_without_test_rows() -> None:
    counts = np.zeros((1, 1, 3, 3), dtype=int)
    counts[0, 0, 1, 1] = 4
    train = np.array([[[1], [0], [0]]])
    assert missing_recall(counts, train) == 1.0
