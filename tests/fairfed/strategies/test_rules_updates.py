"""FedMGDA+ against scipy's non-negative least squares, FAIR-FATE by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from fairfed.strategies.rules import FairFate, FedMGDA
from fairfed.strategies.rules.fairfate import decaying_momentum, fair_shares
from fairfed.strategies.rules.fedmgda import min_norm_weights
from fairfed.strategies.signals import ProbeUnfairness, Signals, no_signal


def test_min_norm_of_two_is_the_foot_of_the_perpendicular() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 2.0]])
    found = min_norm_weights(vectors @ vectors.T, np.full(2, 0.5), 1.0)
    assert found == pytest.approx([0.8, 0.2], abs=1e-6)
    bounded = min_norm_weights(vectors @ vectors.T, np.full(2, 0.5), 0.1)
    assert bounded == pytest.approx([0.6, 0.4], abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_min_norm_is_that_of_nnls(seed: int, size: int) -> None:
    """The nearest point of a hull to 0, by least squares with a heavy row for the sum."""
    vectors = np.random.default_rng(seed).normal(size=(size, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ours = min_norm_weights(vectors @ vectors.T, np.full(size, 1 / size), 1.0)
    heavy = np.vstack([vectors.T, np.full(size, 1e4)])
    theirs, _ = nnls(heavy, np.append(np.zeros(8), 1e4))
    theirs /= theirs.sum()
    assert np.linalg.norm(ours @ vectors) == pytest.approx(
        np.linalg.norm(theirs @ vectors), abs=1e-5
    )


def test_fedmgda_goes_where_no_client_loses(cohort: Any) -> None:
    """One client pulls ten times as far: the plain mean hurts the other, the min-norm does not."""
    given = cohort([1, 1], x=[[10.0, 0.0], [-0.6, 0.8]])
    rule = FedMGDA(epsilon=1.0)
    weights = rule.weigh(given, no_signal(2))
    moved = rule.merge(given, no_signal(2), weights)["x"]
    assert given.updates.mean(axis=0) @ given.updates[1] < 0
    assert (given.updates @ moved > 0).all()
    assert weights.weight.sum() == pytest.approx(1)


def test_fedmgda_without_freedom_averages_directions(cohort: Any) -> None:
    given = cohort([1, 3], x=[[4.0, 0.0], [0.0, 2.0]])
    rule = FedMGDA(epsilon=0.0, step=1.0)
    merged = rule.merge(given, no_signal(2), rule.weigh(given, no_signal(2)))
    assert merged["x"] == pytest.approx([0.25 * 3, 0.75 * 3])  # the median norm is 3


def test_fedmgda_leaves_out_a_client_that_stands_still(cohort: Any) -> None:
    given = cohort([1, 1, 1], x=[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    weights = FedMGDA(epsilon=1.0).weigh(given, no_signal(3))
    assert weights.weight == pytest.approx([0.0, 0.5, 0.5], abs=1e-6)
    assert weights.guards[0] == "excluded: its update is zero"
    nobody = cohort([1, 3], x=[[0.0, 0.0], [0.0, 0.0]])
    assert FedMGDA().weigh(nobody, no_signal(2)).weight.tolist() == [0.25, 0.75]


def unfairness(values: list[float], reference: float) -> Signals:
    return Signals(np.asarray(values), (None,) * len(values), "gap", reference)


def test_fair_fate_by_hand(cohort: Any) -> None:
    """Two rounds of the formulas in the module, with one fair client of two."""
    rule = FairFate(beta0=0.5, lambda0=0.4, rho=0.0, rounds=4)
    signals = unfairness([0.2, 0.6], 0.3)
    first = cohort([1, 3], x=[[1.0, 0.0], [0.0, 1.0]])
    merged = rule.merge(first, signals, rule.weigh(first, signals))
    b1 = 0.5 * 0.75 / (0.5 + 0.5 * 0.75)
    v1 = (1 - b1) * np.array([1.0, 0.0])
    assert merged["x"] == pytest.approx(0.4 * v1 + 0.6 * np.array([0.25, 0.75]))
    second = cohort([1, 3], x=[[1.0, 0.0], [0.0, 1.0]], round=2)
    both = unfairness([0.2, 0.25], 0.3)
    merged = rule.merge(second, both, rule.weigh(second, both))
    b2 = 0.5 * 0.5 / (0.5 + 0.5 * 0.5)
    fair = np.array([0.8, 0.75]) / 1.55
    v2 = b2 * v1 + (1 - b2) * fair
    assert merged["x"] == pytest.approx(0.4 * v2 + 0.6 * np.array([0.25, 0.75]))


def test_fair_fates_schedules() -> None:
    assert decaying_momentum(0.9, 0, 100) == pytest.approx(0.9)
    assert decaying_momentum(0.9, 50, 100) == pytest.approx(0.45 / 0.55)
    assert decaying_momentum(0.9, 100, 100) == decaying_momentum(0.9, 130, 100) == 0.0
    assert FairFate(lambda0=0.1, rho=0.05).share(2) == pytest.approx(0.11025)
    assert FairFate(lambda0=0.1, rho=0.05, lambda_max=0.5).share(10**9) == 0.5


def test_nobody_fair_or_nothing_known_gives_no_fair_update() -> None:
    possible = np.ones(2, bool)
    assert fair_shares(unfairness([0.5, 0.9], 0.3), possible).tolist() == [0.0, 0.0]
    assert fair_shares(unfairness([0.5, float("nan")], 0.6), possible).tolist() == [1.0, 0.0]
    assert fair_shares(unfairness([0.5, 0.5], float("nan")), possible).tolist() == [0.0, 0.0]


def test_the_probe_judges_models_and_not_reports(cohort: Any) -> None:
    def probe(model: Any) -> Any:
        wrong = int(model["x"][0])  # of 4 in group 1, class 1
        return np.array([[[4, 0], [0, 4]], [[4, 0], [wrong, 4 - wrong]]], np.int64)

    def gap(counts: Any) -> float:
        return float(counts[0, 1, 1] - counts[1, 1, 1]) / 4

    lies = [[[[99, 0], [0, 99]], [[99, 0], [0, 99]]]] * 2
    given = cohort([1, 1], x=[[3.0, 0], [1.0, 0]], received=[2.0, 0], counts=lies, probe=probe)
    signals = ProbeUnfairness(gap)(given)
    assert signals.values.tolist() == [0.75, 0.25]
    assert signals.reference == 0.5
    rule = FairFate(lambda0=1.0, rho=0.0)
    assert rule.weigh(given, signals).weight.tolist() == [0.0, 1.0]
    with pytest.raises(ValueError, match="give a 'probe'"):
        ProbeUnfairness(gap)(cohort([1]))
