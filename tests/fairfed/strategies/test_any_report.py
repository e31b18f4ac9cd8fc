"""Whatever clients report: the default configuration's weights keep between floor and cap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairfed.config import Config, FairnessConfig
from fairfed.config.arms import Arm
from fairfed.strategies.aggregation import combine
from fairfed.strategies.cohort import Cohort
from fairfed.strategies.rules import RULES
from fairfed.strategies.signals import SIGNALS, accuracy, make_signal
from fairfed.strategies.steered import FairnessSteered
from fairfed.strategies.weights import (
    AS_PUBLISHED,
    MAX_WEIGHT,
    MIN_SHARE,
    Bounds,
    limit,
    sanitise,
    shares,
    shares_of,
)
from fairfed.systems.classifier.build import build_strategy
from tests.fairfed.strategies.places import place_of

NAN, INF = float("nan"), float("inf")
LARGEST_COUNT = 2**62 - 1  # what a reply may hold


def understood(rule: str) -> list[str | None]:
    """Signals that can steer a rule; None alone where it reads none."""
    kinds = RULES[rule].steers_by
    if RULES[rule].needs_server_set:
        return ["probe"]
    found = [name for name in SIGNALS if make_signal(name, accuracy).kind in kinds]
    return [*found] or [None]


PLACE = place_of(Config())
PAIRS = [(rule, signal) for rule in RULES for signal in understood(rule)]

numbers = st.one_of(
    st.sampled_from([0.0, 1.0, 10.0, 1e4, -1.0, NAN, INF, -INF, 1e308, 5e-324]), st.floats()
)
counts = st.lists(
    st.one_of(st.sampled_from([0, 0, 5, LARGEST_COUNT]), st.integers(0, LARGEST_COUNT)),
    min_size=8,
    max_size=8,
)
coordinates = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 1e308, -1e308, 5e-324]),
    st.floats(allow_nan=False, allow_infinity=False),
)
reports = st.lists(
    st.tuples(numbers, numbers, counts, st.tuples(coordinates, coordinates)), max_size=4
)


def judged(model: Any) -> Any:
    """Counts of the server's examples; how unfair they are depends on the model alone."""
    right = int(abs(model["x"][0]) % 5)
    return np.array([[[4, 0], [0, 4]], [[4, 0], [4 - right, right]]], np.int64)


def cohort(number: int, rows: list[Any]) -> Cohort:
    return Cohort(
        round=number,
        clients=tuple(range(len(rows))),
        n=np.asarray([row[0] for row in rows], np.float64),
        counts=tuple(np.asarray(row[2], np.int64).reshape(2, 2, 2) for row in rows),
        losses=np.asarray([row[1] for row in rows], np.float64),
        models=tuple({"x": np.asarray(row[3], np.float64)} for row in rows),
        received={"x": np.ones(2)},
        probe=judged,
    )


def by_default(rule: str, signal: str | None) -> FairnessSteered:
    arm = Arm.model_validate({"name": "a", "rule": rule, "signal": signal})
    return build_strategy(PLACE, arm, judged)


@pytest.mark.parametrize(("rule", "signal"), PAIRS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(reports, min_size=1, max_size=3))
def test_weights_are_a_distribution_below_the_cap_or_the_round_is_skipped(
    rule: str, signal: str | None, rounds: list[list[Any]]
) -> None:
    """Over rounds: what a rule remembers of a bad one must not spoil the next."""
    parts = by_default(rule, signal).parts
    for number, rows in enumerate(rounds, start=1):
        met = cohort(number, rows)
        result = parts.run(met)
        weight = result.weights.weight
        assert np.isfinite(weight).all()
        assert (weight >= 0).all()
        assert (weight[~met.possible] == 0).all()
        allowed = met.holders & np.isfinite(result.weights.raw)
        most = limit(MAX_WEIGHT, allowed)
        assert (weight <= most + 1e-9).all()
        floor = np.minimum(MIN_SHARE * shares_of(met.n, allowed), most)
        assert (weight >= floor * (1 - 1e-9)).all()
        if met.possible.any():
            assert weight.sum() == pytest.approx(1)
        else:
            assert weight.sum() == 0
            assert result.model is None
        assert result.model is None or np.isfinite(result.model["x"]).all()


def test_the_defaults_agree() -> None:
    assert FairnessConfig().max_weight == MAX_WEIGHT == 0.8
    assert FairnessConfig().min_share == MIN_SHARE == 0.5
    assert FairnessSteered((2, 2)).parts.bounds == Bounds(MAX_WEIGHT, MIN_SHARE)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        ([9999, 1], [0.8, 0.2]),
        ([7, 2, 1], [0.7, 0.2, 0.1]),
        ([7], [1.0]),
        ([7, 0], [1.0, 0.0]),  # nobody else holds an example
        ([0, 0], [0.5, 0.5]),
        ([7, NAN], [1.0, 0.0]),
        ([9998, 1, 1, 0], [0.8, 0.1, 0.1, 0.0]),
    ],
)
def test_the_cap_when_few_clients_are_left(n: list[float], expected: list[float]) -> None:
    rows = [(value, 1.0, [1] * 8, (0.0, 0.0)) for value in n]
    result = by_default("fedavg", None).parts.run(cohort(1, rows))
    assert result.weights.weight == pytest.approx(expected)


def test_without_a_budget_fairfed_is_fedavg_bit_for_bit_below_the_cap_as_well() -> None:
    rows = [(9999.0, 1.0, [5, 1] * 4, (0.1, 0.3)), (3.0, 1.0, [1] * 8, (0.7, 1 / 3))]
    plain = by_default("fedavg", None).parts.run(cohort(1, rows))
    for rule in ("fairfed", "fairfed-exp"):
        strategy = FairnessSteered((2, 2), rule=rule, options={"beta": 0.0}, metric=accuracy)
        steered = strategy.parts.run(cohort(1, rows))
        assert steered.weights.weight.tobytes() == plain.weights.weight.tobytes()
        assert steered.model is not None
        assert plain.model is not None
        assert steered.model["x"].tobytes() == plain.model["x"].tobytes()


def test_numbers_too_large_to_add_up_are_still_shared_out() -> None:
    huge = np.array([1e308, 1e308, 5e307])
    assert shares(huge) == pytest.approx([0.4, 0.4, 0.2])
    assert sanitise(huge, huge).weight == pytest.approx([0.4, 0.4, 0.2])
    assert sanitise([0, 0, 0], huge).weight == pytest.approx([0.4, 0.4, 0.2])


def test_a_cap_below_an_equal_share_is_an_equal_share() -> None:
    assert limit(0.4, np.ones(2, bool)) == 0.5
    assert limit(0.4, np.ones(3, bool)) == 0.4
    assert limit(0.4, np.zeros(3, bool)) == 1.0


GOOD = [4, 0, 0, 4, 4, 0, 0, 4]


def on_the_server(model: Any) -> Any:
    wrong = int(model["x"][0])  # of 100 in group 1, class 1: the metric is wrong / 100
    return np.array([[[100, 0], [0, 100]], [[100, 0], [wrong, 100 - wrong]]], np.int64)


def gap_of_recall(counts: Any) -> float:
    return float(counts[0, 1, 1] - counts[1, 1, 1]) / 100


def probed(rule: str, n: list[float], wrong: list[int], **given: Any) -> tuple[Cohort, Any]:
    """A round whose clients' models are so unfair on the server's examples, and the parts."""
    rows = [(size, 1.0, GOOD, (float(w), 0.0)) for size, w in zip(n, wrong, strict=True)]
    met = replace(cohort(1, rows), probe=on_the_server, received={"x": np.array([40.0, 0.0])})
    return met, combine(
        rule, given, "probe", gap_of_recall, "fedavg", None, AS_PUBLISHED, on_the_server
    )


@pytest.mark.parametrize("rule", ["fairfed", "fairfed-exp", "fair-fate"])
@settings(max_examples=20, deadline=None)
@given(counts, numbers)
def test_under_the_probe_no_report_about_itself_moves_a_weight(
    rule: str, lie: list[int], loss: float
) -> None:
    """Of a reply only the model and the number of examples count: to the last bit."""
    met, honest = probed(rule, [3, 1, 2], [30, 5, 80])
    claimed = (np.reshape(lie, (2, 2, 2)), *met.counts[1:])
    lying = replace(met, counts=claimed, losses=np.array([loss, 1.0, 1.0]))
    expected = honest.run(met).weights.weight
    _, other = probed(rule, [3, 1, 2], [30, 5, 80])
    assert other.run(lying).weights.weight.tobytes() == expected.tobytes()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=6), st.data(), st.floats(0, 2))
def test_the_bound_of_what_the_probe_lets_a_client_gain(
    n: list[float], data: Any, beta: float
) -> None:
    """Additively beta (1 - 1/K) in a round; without memory the odds grow by exp(beta) at most."""
    size, base = len(n), np.asarray(n) / sum(n)
    wrong = st.lists(st.integers(0, 100), min_size=size, max_size=size)
    _, additive = probed("fairfed", n, [0] * size, beta=beta)
    _, tilted = probed("fairfed-exp", n, [0] * size, beta=beta)
    for number in (1, 2, 3):
        met, _ = probed("fairfed", n, data.draw(wrong))
        gain = additive.run(met).weights.weight - base
        assert (gain <= number * beta * (1 - 1 / size) + 1e-9).all()
        weight = tilted.run(met).weights.weight
        # odds, without dividing by what may be 0
        assert (weight * (1 - base) <= np.exp(beta) * base * (1 - weight) + 1e-9).all()


def test_the_bounds_of_the_probe_are_reached() -> None:
    """One fair client among clients that are as unfair as can be."""
    met, additive = probed("fairfed", [1] * 4, [0, 100, 100, 100], beta=0.1)
    assert additive.run(met).weights.weight[0] == pytest.approx(0.25 + 0.1 * 0.75)
    _, tilted = probed("fairfed-exp", [1] * 4, [0] * 4, beta=0.1)
    weight = tilted.run(met).weights.weight[0]
    assert weight / (1 - weight) == pytest.approx(np.exp(0.1) / 3)


def test_the_momentum_of_fair_fate_carries_no_more_than_the_cap() -> None:
    """One fair client, round after round: without a cap it ends up deciding alone."""

    def end(max_weight: float) -> float:
        options, bounds = {"lambda0": 1.0, "rounds": 20}, Bounds(max_weight, min_share=0.0)
        parts = combine(
            "fair-fate", options, None, gap_of_recall, "fedavg", None, bounds, on_the_server
        )
        for number in range(1, 21):
            rows = [(1.0, 1.0, GOOD, (0.0, 1.0)), (99.0, 1.0, GOOD, (90.0, 0.0))]
            met = replace(
                cohort(number, rows), probe=on_the_server, received={"x": np.array([40.0, 0.0])}
            )
            model = parts.run(met).model
        assert model is not None
        return float(model["x"][1])  # only the fair client moves this one, by 1

    assert end(1.0) == pytest.approx(1.0)
    assert end(0.6) == pytest.approx(0.6)


def test_fedmgdas_cap_is_of_directions_and_no_client_lengthens_the_step() -> None:
    def step(far: float) -> Any:
        x = [(1.0 + far, 1.0), (1.0, 1.001), (1.5, 1.5)]
        rows = [(1.0, 1.0, GOOD, point) for point in x]
        result = by_default("fedmgda", None).parts.run(cohort(1, rows))
        assert result.model is not None
        return result.weights.weight, result.model["x"] - 1.0

    (near, moved), (same, still) = step(2.0), step(1e6)
    assert same == pytest.approx(near)
    assert still == pytest.approx(moved)
    assert np.linalg.norm(moved) <= np.sqrt(0.5)  # the median length of the three updates
