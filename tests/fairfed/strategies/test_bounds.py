"""No rule silences a client: floor and cap together, and who was drawn down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairfed.config import Config
from fairfed.config.arms import Arm
from fairfed.strategies.aggregation import combine
from fairfed.strategies.signals import accuracy
from fairfed.strategies.weights import AS_PUBLISHED, Bounds, bounded, limit, sanitise, within
from fairfed.systems.classifier.build import bounds_of, build_strategy
from tests.fairfed.strategies.places import place_of

Make = Callable[..., Any]


HALF = Bounds(1.0, 0.5)


def raised(raw: list[float], n: list[float], bounds: Bounds = HALF) -> Any:
    return bounded(sanitise(raw, n), np.asarray(n, float), bounds, np.ones(len(n), bool))


def test_a_floor_by_hand() -> None:
    found = raised([0.9, 0.1, 0.0], [1, 1, 2])
    # floors 1/8, 1/8, 1/4; the first alone gives what the others lack
    assert found.weight == pytest.approx([5 / 8, 1 / 8, 1 / 4])
    assert found.drawn_down == (False, True, True)
    assert found.guards == (
        None,
        "weight 0.1 raised to the floor 0.125",
        "weight 0 raised to the floor 0.25",
    )


def test_those_between_the_bounds_keep_their_proportions() -> None:
    found = raised([0.6, 0.4, 0.0], [1, 1, 2])
    assert found.weight == pytest.approx([0.45, 0.3, 0.25])
    assert found.guards[:2] == (None, None)


def test_floor_and_cap_together() -> None:
    # floors .3, .1, .1; the first is cut to .6, the others share .4 and the last is raised
    found = raised([0.8, 0.2, 0.0], [3, 1, 1], Bounds(0.6, 0.5))
    assert found.weight == pytest.approx([0.6, 0.3, 0.1])
    assert found.guards[0] == "weight 0.8 cut to the cap 0.6"
    assert found.drawn_down == (False, False, True)


def test_a_floor_above_the_cap_gives_way_to_it() -> None:
    # the first holds 98 %: its floor of 0.98 would leave the cap of 0.4 behind
    found = raised([0.0, 0.5, 0.5], [98, 1, 1], Bounds(0.4, 1.0))
    assert found.weight == pytest.approx([0.4, 0.3, 0.3])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 100)), min_size=1, max_size=7),
    st.floats(0.01, 1),
    st.floats(0, 1),
)
def test_both_bounds_hold_whatever_they_are(
    rows: list[tuple[float, int]], cap: float, share: float
) -> None:
    raw, n = [w for w, _ in rows], np.array([size for _, size in rows], float)
    holders = n > 0 if (n > 0).any() else np.ones(len(n), bool)
    weight = bounded(sanitise(raw, n), n, Bounds(cap, share), holders).weight
    most = limit(cap, holders)
    assert weight.sum() == pytest.approx(1)
    assert (weight <= most + 1e-9).all()
    if n.sum():
        assert (weight >= np.minimum(share * n / n.sum(), most) - 1e-9).all()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=6).filter(lambda raw: sum(raw) > 0),
    st.lists(st.integers(1, 1000), min_size=6, max_size=6),
    st.floats(0.05, 1),
    st.floats(0, 1),
)
def test_whatever_a_liar_says_of_itself_its_weight_is_bounded(
    raw: list[float], told: list[int], cap: float, floor: float
) -> None:
    """As docs/steering.md states: at least its own floor, at most what the others' floors leave."""
    n, allowed = np.array(told[: len(raw)], float), np.ones(len(raw), bool)
    most = limit(cap, allowed)
    floors = np.minimum(floor * n / n.sum(), most)
    weight = raised(raw, n.tolist(), Bounds(cap, floor)).weight[0]
    assert floors[0] - 1e-9 <= weight <= min(most, 1 - floors[1:].sum()) + 1e-9


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6), st.floats(0, 1))
def test_between_the_bounds_nothing_but_a_common_factor_changes(
    raw: list[float], share: float
) -> None:
    asked = np.asarray(raw) / sum(raw)
    least = np.full(len(raw), share / len(raw))
    found = within(asked, least, 0.7, np.ones(len(raw), bool))
    between = (found > least * (1 + 1e-9)) & (found < 0.7 * (1 - 1e-9))
    factors = found[between] / asked[between]
    assert np.ptp(factors) < 1e-6 if factors.size else True
    # whoever is raised would be below the floor at that factor, and whoever is cut above the cap
    if factors.size:
        at_floor, at_cap = ~between & (found <= least * (1 + 1e-9)), found >= 0.7 * (1 - 1e-9)
        assert (asked[at_floor] * factors.max() <= least[at_floor] + 1e-9).all()
        assert (asked[at_cap] * factors.min() >= 0.7 - 1e-9).all()


WORST = [[[1, 3], [3, 1]], [[4, 0], [0, 4]]]
FINE = [[[4, 0], [0, 4]], [[4, 0], [0, 4]]]


@pytest.mark.parametrize(
    ("rule", "options", "losses", "signal"),
    [
        ("fairfed", {"beta": 1}, [1, 1, 1], "gap"),
        ("fairfed-exp", {"beta": 50}, [1, 1, 1], "gap"),
        ("afl", {"gamma": 5}, [0.01, 1, 2], None),
        ("qffl", {"q": 5}, [0.01, 1, 1], None),
        ("term", {"t": 9}, [0.01, 1, 1], None),
        ("fedmgda", {"epsilon": 1}, [1, 1, 1], None),
        ("fair-fate", {"lambda0": 1}, [1, 1, 1], "probe"),
    ],
)
def test_no_rule_draws_a_client_below_half_of_its_share(
    cohort: Make, rule: str, options: dict[str, float], losses: list[float], signal: str | None
) -> None:
    """As published each of them does, with the same reports; a floor stops it."""

    def unfair(counts: Any) -> float:
        return float(abs(np.trace(counts[0]) - np.trace(counts[1])) / 8)

    def probe(model: Any) -> Any:
        return np.asarray(WORST if model["x"][0] > 0.9 else FINE)

    given = cohort(
        [1, 1, 1], losses=losses, counts=[WORST, FINE, FINE], probe=probe,
        x=[[1.0, 0.2], [0.5, 0.01], [0.5, -0.01]],
    )  # fmt: skip

    def of(bounds: Bounds) -> Any:
        made = combine(rule, options, signal, unfair, "fedavg", None, bounds, probe)
        made.run(given)
        return made.run(given).weights

    published, floored = of(AS_PUBLISHED), of(Bounds())
    assert published.weight.min() < 1 / 6 - 1e-3
    assert published.drawn_down.count(True) >= 1
    assert floored.weight.min() == pytest.approx(1 / 6)
    assert floored.drawn_down[int(floored.weight.argmin())]
    assert "raised to the floor" in floored.guards[int(floored.weight.argmin())]


def test_fair_fate_steps_along_every_client_by_its_floor_at_least(cohort: Make) -> None:
    """Its fair momentum alone would never hear the third client."""

    def probe(model: Any) -> Any:
        return np.asarray(WORST if model["x"][1] > 0 else FINE)

    def unfair(counts: Any) -> float:
        return float(abs(np.trace(counts[0]) - np.trace(counts[1])) / 8)

    given = cohort([1, 1, 1], x=[[0, -1], [0, -1], [0, 1]], received=[0.0, 0.0], probe=probe)
    made = combine(
        "fair-fate", {"beta0": 0, "lambda0": 1}, "probe", unfair, "fedavg", None, Bounds(), probe
    )
    model = made.run(given).model
    assert model is not None
    assert model["x"][1] == pytest.approx(-5 / 6 + 1 / 6)


def test_krum_silences_all_but_one_and_a_median_nobody(cohort: Make) -> None:
    given = cohort([1, 1, 1, 1], x=[[0, 0], [0, 1], [1, 0], [9, 9]])

    def low(aggregator: str) -> Any:
        made = combine("fedavg", {}, None, accuracy, "fedavg", aggregator, Bounds(), None)
        return made.run(given).weights.drawn_down

    assert sum(low("krum")) == 3
    assert sum(low("median")) == 0


def test_one_client_one_vote_is_nobodys_silence(cohort: Make) -> None:
    given = cohort([8, 1, 1], losses=[1, 1, 1])
    made = combine("qffl", {"q": 0}, None, accuracy, "fedavg", None, AS_PUBLISHED, None)
    assert made.run(given).weights.drawn_down == (False, False, False)
    kept = combine("qffl", {"q": 0}, None, accuracy, "fedavg", None, Bounds(), None).run(given)
    assert kept.weights.weight == pytest.approx([0.4, 0.3, 0.3])
    assert kept.weights.drawn_down == (True, False, False)


def test_fedavg_is_left_bit_for_bit(cohort: Make) -> None:
    n = [3, 1, 7]
    made = combine("fedavg", {}, None, accuracy, "fedavg", None, Bounds(1.0, 1.0), None)
    weights = made.run(cohort(n)).weights
    assert weights.weight.tobytes() == sanitise(np.array(n) / 11, n).weight.tobytes()
    assert weights.drawn_down == (False, False, False)


def test_as_published_is_without_bounds_and_an_arm_may_differ() -> None:
    config = Config.model_validate({"fairness": {"as_published": True, "max_weight": 0.6}})
    arms = [Arm(name="a", rule="afl"), Arm(name="b", rule="afl", as_published=False)]
    assert [bounds_of(config, arm) for arm in arms] == [AS_PUBLISHED, Bounds(0.6, 0.5)]
    assert build_strategy(place_of(config), arms[0]).parts.bounds == AS_PUBLISHED
    assert Config().fairness.as_published is False
