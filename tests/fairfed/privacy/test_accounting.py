"""What is spent: Opacus's numbers, a published one, and sums over releases of all kinds."""

from __future__ import annotations

import pytest

from fairfed.config.site import SiteBudget
from fairfed.privacy.accounting import (
    ORDERS,
    TOLERANCE,
    Mechanism,
    divergences_of,
    epsilon_of,
    noise_for,
)
from fairfed.sites.account import overspent, spent
from semantic.privacy import gaussian_sigma

DELTA = 1e-5
STEP = {"noise": 1.1, "rate": 256 / 60_000, "steps": 14_063}
"""60 epochs over 60,000 rows in batches of 256, as in TensorFlow Privacy's tutorial."""


def _release(mark: str, **said: object) -> dict[str, object]:
    return {"release": {"sha256": mark, "epsilon": 1.0, "delta": DELTA, **said}}


def test_a_training_of_the_literature() -> None:
    """TensorFlow Privacy's tutorial states ε = 3.01 by an older conversion, which is looser."""
    assert epsilon_of(Mechanism(**STEP).divergences(), DELTA) == pytest.approx(2.6, abs=0.1)


def test_epsilon_is_that_of_opacus() -> None:
    from opacus.accountants.analysis import rdp

    orders = list(ORDERS)
    theirs = rdp.compute_rdp(q=0.01, noise_multiplier=0.8, steps=500, orders=orders)
    expected, _ = rdp.get_privacy_spent(orders=orders, rdp=theirs, delta=DELTA)
    assert epsilon_of(Mechanism(0.8, 0.01, 500).divergences(), DELTA) == pytest.approx(expected)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 8.0])
def test_the_noise_is_the_least_that_keeps_epsilon(epsilon: float) -> None:
    noise = noise_for(epsilon, DELTA, 0.1, 200)
    assert epsilon_of(Mechanism(noise, 0.1, 200).divergences(), DELTA) <= epsilon
    less = Mechanism(noise * (1 - 2 * TOLERANCE), 0.1, 200)
    assert epsilon_of(less.divergences(), DELTA) > epsilon


def test_releases_of_all_kinds_add_up() -> None:
    training = _release("a", mechanism=STEP, epsilon=2.7)
    prototypes = _release("b")
    counts = _release("c", delta=0.0, epsilon=0.3)
    alone = [spent([one], DELTA) for one in (training, prototypes, counts)]
    # Alone, a release costs what it says. Rényi divergences cost one somewhat more, many far less.
    assert alone[1] == 1.0
    renyi = epsilon_of(Mechanism(gaussian_sigma(1.0, DELTA, 1.0)).divergences(), DELTA)
    assert 1.0 < renyi < 1.25
    many = [_release(str(number)) for number in range(50)]
    assert spent(many, DELTA) < 12
    assert alone[2] == 0.3
    together = spent([training, prototypes, counts], DELTA)
    assert max(alone) < together < sum(alone)


def test_what_is_sent_again_is_spent_once_and_nothing_costs_nothing() -> None:
    one = _release("a", mechanism=STEP, epsilon=2.7)
    assert spent([one, {"asked": "evaluate"}, one], DELTA) == spent([one], DELTA)
    assert (
        spent([], DELTA)
        == spent([_release("d", mechanism={"noise": 1, "rate": 1, "steps": 0})], DELTA)
        == 0
    )


def test_a_budget_is_kept() -> None:
    budget = SiteBudget(epsilon=3.0, delta=DELTA)
    assert overspent(None, [_release("a", mechanism=STEP, epsilon=2.7)] * 9) is None
    assert overspent(budget, [_release("a", mechanism=STEP, epsilon=2.7)]) is None
    reason = overspent(budget, [_release(mark, mechanism=STEP, epsilon=2.7) for mark in "ab"])
    assert reason is not None
    assert "would spend ε = 3.8" in reason
    assert "allowed is 3" in reason


def test_pure_privacy_is_bounded_at_every_order() -> None:
    found = divergences_of({"epsilon": 0.5, "delta": 0.0})
    assert found.max() == 0.5
    assert found[0] == pytest.approx(ORDERS[0] * 0.125)
