"""Clients that lie, fail or have nothing: every rule, one table of accidents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairfed.strategies.aggregation import combine
from fairfed.strategies.rules import RULES
from fairfed.strategies.signals import accuracy
from fairfed.strategies.weights import AS_PUBLISHED, Bounds, Weights, bounded, sanitise

NAN, INF = float("nan"), float("inf")
EMPTY = [[[0, 0], [0, 0]], [[0, 0], [0, 0]]]
ONE_GROUP = [[[3, 1], [1, 3]], [[0, 0], [0, 0]]]
Make = Callable[..., Any]


def probe(model: Any) -> Any:
    return np.array([[[3, 1], [1, 3]], [[2, 2], [0, 4]]], np.int64)


def outcome(rule: str, given: Any, max_weight: float = 1.0) -> Any:
    bounds = Bounds(max_weight, min_share=0.0)
    parts = combine(rule, {}, None, accuracy, "fedavg", None, bounds, probe)
    return parts.run(given)


def capped(weights: Weights, cap: float, allowed: Any) -> Weights:
    return bounded(weights, np.ones(len(allowed)), Bounds(cap, min_share=0.0), allowed)


def check(result: Any) -> None:
    """Weights are a distribution, and the model is finite."""
    weight = result.weights.weight
    assert np.isfinite(weight).all()
    assert (weight >= 0).all()
    assert weight.sum() == pytest.approx(1)
    assert np.isfinite(result.model["x"]).all()


ACCIDENTS: dict[str, dict[str, Any]] = {
    "alone": {"n": [5]},
    "nobody has an example": {"n": [0, 0], "counts": [EMPTY, EMPTY], "losses": [NAN, NAN]},
    "a count that is NaN": {"n": [5, NAN]},
    "a count that is infinite": {"n": [5, INF]},
    "a negative count": {"n": [5, -3]},
    "no loss at all": {"n": [5, 3], "losses": [NAN, NAN]},
    "an absurd loss": {"n": [5, 3], "losses": [1.0, 1e308]},
    "a loss of zero": {"n": [5, 3], "losses": [0.0, 0.0]},
    "a group missing at one client": {"n": [5, 3], "counts": [ONE_GROUP, probe(None)]},
    "a group missing everywhere": {"n": [5, 3], "counts": [ONE_GROUP, ONE_GROUP]},
    "an empty client": {"n": [5, 0], "counts": [probe(None), EMPTY], "losses": [1.0, NAN]},
    "nobody moved": {"n": [5, 3], "x": [[0.0, 0.0], [0.0, 0.0]]},
    "one went far away": {"n": [5, 3], "x": [[1.0, 1.0], [1e150, -1e150]]},
}


@pytest.mark.parametrize("accident", ACCIDENTS)
@pytest.mark.parametrize("rule", RULES)
def test_no_accident_breaks_a_rule(rule: str, accident: str, cohort: Make) -> None:
    settings = {"probe": probe, **ACCIDENTS[accident]}
    check(outcome(rule, cohort(settings.pop("n"), **settings)))


@pytest.mark.parametrize("bad", [NAN, INF, -1.0])
@pytest.mark.parametrize("rule", RULES)
def test_an_impossible_count_never_weighs(rule: str, bad: float, cohort: Make) -> None:
    result = outcome(rule, cohort([5, bad, 3], x=[[1, 1], [9e9, 9e9], [1, 1]], probe=probe))
    assert result.weights.weight[1] == 0
    assert np.abs(result.model["x"]).max() <= 2


@pytest.mark.parametrize("rule", RULES)
def test_a_cap_bounds_a_client_that_lies_about_its_examples_and_its_loss(
    rule: str, cohort: Make
) -> None:
    lie = cohort([10_000, 10, 10, 10], losses=[1e300, 1.0, 1.0, 1.0], probe=probe)
    assert outcome(rule, lie, max_weight=0.4).weights.weight.max() <= 0.4 + 1e-12


@pytest.mark.parametrize(
    ("rule", "gains"),
    [("fedavg", True), ("fairfed", True), ("qffl", False), ("fedmgda", False)],
)
def test_who_gains_by_a_thousand_times_the_examples(rule: str, gains: bool, cohort: Make) -> None:
    """Rules that start from n_k reward the lie; q-FFL ignores n, FedMGDA+ only sees directions."""
    x = [[1.0, 0.2], [0.2, 1.0], [0.7, 0.7], [1.0, 1.0]]
    options = {"epsilon": 1.0} if rule == "fedmgda" else {}

    def weight(n: float) -> float:
        parts = combine(rule, options, None, accuracy, "fedavg", None, AS_PUBLISHED, probe)
        return float(parts.run(cohort([n, 10, 10, 10], x=x)).weights.weight[0])

    assert (weight(10_000) - weight(10) > 0.1) is gains


def test_a_perfect_report_gains_under_the_gap_and_not_under_the_probe(cohort: Make) -> None:
    """All clients hold the same unfair model of the data; one claims it is perfect."""

    def gap(counts: Any) -> float:
        recall = counts[:, 1, 1] / counts[:, 1].sum(axis=1)
        return float(abs(recall[0] - recall[1]))

    true, pooled_like = [[[4, 0], [0, 4]], [[4, 0], [2, 2]]], [[[4, 0], [1, 3]], [[4, 0], [2, 2]]]
    given = cohort([1, 1, 1], counts=[pooled_like, true, true], probe=probe)

    def gain(signal: str) -> float:
        parts = combine("fairfed", {"beta": 1}, signal, gap, "fedavg", None, AS_PUBLISHED, probe)
        return float(parts.run(given).weights.weight[0]) - 1 / 3

    assert abs(gain("gap")) > 0.01
    assert gain("probe") == pytest.approx(0, abs=1e-12)


def test_counts_of_a_million_times_the_rows_gain_under_the_gap_and_not_under_the_probe(
    cohort: Make,
) -> None:
    """The pooled counts become the lie, so that only the liar is near them."""

    def gap(counts: Any) -> float:
        recall = counts[:, 1, 1] / counts[:, 1].sum(axis=1)
        return float(abs(recall[0] - recall[1]))

    true = np.array([[[4, 0], [0, 4]], [[4, 0], [2, 2]]])
    perfect = np.array([[[4, 0], [0, 4]], [[4, 0], [0, 4]]]) * 10**6
    given = cohort([1, 1, 1], counts=[perfect, true, true], probe=probe)

    def weight(signal: str) -> float:
        parts = combine("fairfed", {"beta": 1}, signal, gap, "fedavg", None, AS_PUBLISHED, probe)
        return float(parts.run(given).weights.weight[0])

    assert weight("gap") == pytest.approx(1 / 3 + 1 / 3, abs=1e-5)
    assert weight("probe") == pytest.approx(1 / 3)


def test_fedmgda_favours_the_odd_one_out_no_further_than_epsilon(cohort: Make) -> None:
    """A client that pulls against the others is what makes the hull's shortest vector short."""
    x = [[-1.0, 0.1], [1.0, 0.0], [1.0, 0.1], [1.0, -0.1]]
    parts = combine("fedmgda", {"epsilon": 0.1}, None, accuracy, "fedavg", None, AS_PUBLISHED, None)
    assert parts.run(cohort([1] * 4, x=x)).weights.weight[0] == pytest.approx(0.25 + 0.1)


def test_a_client_that_flips_its_labels_loses_weight_under_the_probe(cohort: Make) -> None:
    """It flips group 1's labels, so its model is unfair; about itself it reports a fair one."""

    def gap(counts: Any) -> float:
        return float(abs(counts[0, 1, 1] - counts[1, 1, 1]) / 4)

    def judged(model: Any) -> Any:
        flipped = model["x"][0] < 0
        return np.array([[[4, 0], [0, 4]], [[4, 0], [4, 0] if flipped else [0, 4]]], np.int64)

    honest = [[[4, 0], [0, 4]], [[4, 0], [0, 4]]]
    given = cohort([1, 1, 1], counts=[honest] * 3, x=[[-1.0, 0], [1, 0], [1, 0]], probe=judged)

    def weight(signal: str) -> float:
        parts = combine("fairfed", {"beta": 0.3}, signal, gap, "fedavg", None, AS_PUBLISHED, judged)
        return float(parts.run(given).weights.weight[0])

    assert weight("gap") == pytest.approx(1 / 3)
    assert weight("probe") == pytest.approx(1 / 3 - 0.3 * 2 / 3)


def test_an_infinite_result_keeps_the_old_model(cohort: Make) -> None:
    given = cohort([1, 1], x=[[1e308, 0.0], [1e308, 0.0]], received=[-1e308, 0.0])
    parts = combine("fedavg", {}, None, None, "fedavgm", None, AS_PUBLISHED, None)
    assert parts.run(given).model is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.01, 1))
def test_a_cap_gives_a_distribution_below_it(raw: list[float], cap: float) -> None:
    weights = sanitise(raw, [1.0] * len(raw))
    cut = capped(weights, cap, np.ones(len(raw), bool))
    limit = max(cap, 1 / len(raw))
    assert cut.weight.sum() == pytest.approx(1)
    assert (cut.weight <= limit + 1e-9).all()
    if (weights.weight <= cap).all():
        assert cut.weight is weights.weight


def test_a_cap_by_hand() -> None:
    everyone = np.ones(3, bool)
    cut = capped(sanitise([0.7, 0.2, 0.1], [1, 1, 1]), 0.5, everyone)
    assert cut.weight == pytest.approx([0.5, 1 / 3, 1 / 6])
    assert cut.guards == ("weight 0.7 cut to the cap 0.5", None, None)
    # what is cut may push the next one over the cap
    pushed = capped(sanitise([0.7, 0.25, 0.05], [1] * 3), 0.45, everyone)
    assert pushed.weight == pytest.approx([0.45, 0.45, 0.1])
    # one client has everything: the others share equally, but not one that was excluded
    alone = sanitise([1.0, 0.0, NAN], [1, 1, 1])
    assert capped(alone, 0.5, np.array([True, True, False])).weight.tolist() == [0.5, 0.5, 0.0]
    assert capped(alone, 0.5, np.array([True, False, False])).weight.tolist() == [1.0, 0.0, 0.0]
