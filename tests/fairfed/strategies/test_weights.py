"""Weights by hand: FedAvg, FairFed, and every guard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairfed.strategies.rules.fairfed import fairfed_exp_weights, fairfed_weights
from fairfed.strategies.rules.fedavg import fedavg_weights
from fairfed.strategies.weights import sanitise

NAN = float("nan")
counts = st.lists(st.integers(0, 10**6), min_size=1, max_size=8)


def test_fedavg_is_proportional() -> None:
    weights = fedavg_weights([100, 300])
    assert weights.weight.tolist() == [0.25, 0.75]
    assert weights.guards == (None, None)


def test_fairfed_by_hand() -> None:
    # mean gap .35; 1/2 - .1 (.2 - .35) = .515; 1/2 - .1 (.5 - .35) = .485
    weights, offsets = fairfed_weights([50, 50], [0.2, 0.5], [0, 0], beta=0.1)
    assert weights.weight == pytest.approx([0.515, 0.485], abs=1e-15)
    assert weights.guards == (None, None)
    # stateful: the same gaps move the weights by the same step again
    weights, _ = fairfed_weights([50, 50], [0.2, 0.5], offsets, beta=0.1)
    assert weights.weight == pytest.approx([0.53, 0.47], abs=1e-15)


@given(counts, st.data())
def test_beta_zero_is_fedavg_to_the_last_bit(n: list[int], data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.floats(0, 1) | st.just(NAN), min_size=len(n), max_size=len(n)))
    offsets = np.zeros(len(n))
    for _ in range(3):
        steered, offsets = fairfed_weights(n, gaps, offsets, beta=0.0)
        plain = fedavg_weights(n)
        assert steered.weight.tobytes() == plain.weight.tobytes()
        assert steered.guards == plain.guards


def test_all_zero_counts_fall_back_to_equal_weights() -> None:
    weights = fedavg_weights([0, 0, 0, 0])
    assert weights.weight.tolist() == [0.25] * 4
    assert all("equal weights" in str(guard) for guard in weights.guards)


def test_all_zero_weights_fall_back_to_examples() -> None:
    weights = sanitise([0.0, -1.0], [30, 10])
    assert weights.weight.tolist() == [0.75, 0.25]
    assert weights.guards[0] == "all weights are zero: weighted by number of examples"
    assert str(weights.guards[1]).startswith("negative weight -1 set to 0; all weights are zero")


@pytest.mark.parametrize("bad", [NAN, float("inf"), -5.0])
def test_an_impossible_number_of_examples_excludes_the_client(bad: float) -> None:
    weights = fedavg_weights([10, bad, 30])
    assert weights.weight.tolist() == [0.25, 0.0, 0.75]
    assert weights.guards[0] is None
    assert weights.guards[1] == f"excluded: number of examples is {bad:g}"
    steered, offsets = fairfed_weights([10, bad, 30], [0.1, 0.9, 0.1], [0, 0.5, 0], beta=1.0)
    assert steered.weight.tolist() == [0.25, 0.0, 0.75]
    assert offsets.tolist() == [0, 0.5, 0]


def test_a_nan_or_negative_weight_cannot_pass() -> None:
    weights = sanitise([0.5, NAN, -0.1, 0.5], [1, 1, 1, 1])
    assert weights.weight.tolist() == [0.5, 0.0, 0.0, 0.5]
    assert weights.guards == (
        None,
        "excluded: weight is nan",
        "negative weight -0.1 set to 0",
        None,
    )


def test_nobody_left_is_all_zeros() -> None:
    weights = fedavg_weights([NAN, -1])
    assert weights.weight.tolist() == [0.0, 0.0]
    assert fedavg_weights([]).weight.tolist() == []
    assert fedavg_weights([7]).weight.tolist() == [1.0]


def test_a_clamped_client_is_back_when_its_gap_is_below_the_mean() -> None:
    offsets = np.zeros(2)
    for _ in range(20):
        weights, offsets = fairfed_weights([1, 1], [0.0, 1.0], offsets, beta=0.5)
    assert weights.weight.tolist() == [1.0, 0.0]
    assert "negative weight" in str(weights.guards[1])
    weights, offsets = fairfed_weights([1, 1], [1.0, 0.0], offsets, beta=0.5)
    assert weights.weight[1] > 0


def test_a_client_without_signal_is_not_steered() -> None:
    weights, offsets = fairfed_weights([1, 1, 2], [0.2, 0.4, NAN], [0, 0, 0], beta=1.0)
    assert weights.weight == pytest.approx([0.35, 0.15, 0.5])
    assert weights.guards == (None, None, "no signal: weight not steered")
    assert offsets == pytest.approx([0.1, -0.1, 0.0])


@given(counts, st.floats(0, 5), st.data())
def test_weights_are_always_a_distribution(n: list[int], beta: float, data: st.DataObject) -> None:
    size = len(n)
    any_float = st.floats(allow_nan=True, allow_infinity=True)
    gaps = data.draw(st.lists(st.floats(0, 1) | st.just(NAN), min_size=size, max_size=size))
    raw = data.draw(st.lists(any_float.filter(lambda x: abs(x) < 1e300 or x != x), min_size=size,
                             max_size=size))  # fmt: skip
    for weights in (fairfed_weights(n, gaps, np.zeros(size), beta)[0], sanitise(raw, n)):
        assert (weights.weight >= 0).all()
        if any(np.isfinite(weights.raw)):
            assert weights.weight.sum() == pytest.approx(1.0)


def test_fairfed_has_declearns_arithmetic() -> None:
    """The case of declearn's own unit test: 100 examples, beta .1, gap 2, mean gap 5 -> 100.3.

    Its weights are numbers of examples and are divided by their sum afterwards; ours are shares
    from the start, so that the same budget is beta / sum(n). The second client has gap 8.
    """
    n, gaps, beta = np.array([100.0, 100.0]), np.array([2.0, 8.0]), 0.1
    theirs = n - beta * (gaps - gaps.mean())
    assert theirs.tolist() == [100.3, 99.7]
    offsets = np.zeros(2)
    for _ in range(3):
        weights, offsets = fairfed_weights(n, gaps, offsets, beta / n.sum())
        assert weights.weight == pytest.approx(theirs / theirs.sum(), abs=1e-15)
        theirs = theirs - beta * (gaps - gaps.mean())


def test_fairfed_exp_by_hand() -> None:
    weights = fairfed_exp_weights([10, 30], [0.0, np.log(3)], beta=1.0)
    assert weights.weight == pytest.approx([0.5, 0.5])
    plain = fedavg_weights([10, 30, 7])
    for gaps in ([0.1, 0.9, 0.4], [NAN, 0.2, 0.3], [NAN] * 3):
        zero = fairfed_exp_weights([10, 30, 7], gaps, beta=0.0)
        assert zero.weight.tobytes() == plain.weight.tobytes()
    blind = fairfed_exp_weights([1, 1, 1], [0.2, 0.4, NAN], beta=1.0)
    assert blind.guards == (None, None, "no signal: weight not steered")
