"""The weighted mean by hand: dtypes, order, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from fairfed.rounds.arrays import decode, encode, flaw, joined, parted
from fairfed.strategies.aggregate import weighted_mean


def test_mean_by_hand_keeps_dtypes_shapes_and_names() -> None:
    models = [
        {
            "w": np.array([[1.0, 2.0]], np.float32),
            "half": np.array([1.0], np.float16),
            "num_batches_tracked": np.array(7, np.int64),
            "mask": np.array([True, False]),
        },
        {
            "w": np.array([[3.0, 6.0]], np.float32),
            "half": np.array([2.0], np.float16),
            "num_batches_tracked": np.array(10, np.int64),
            "mask": np.array([True, True]),
        },
    ]
    mean = decode(encode(weighted_mean(models, [0.25, 0.75])))
    assert mean["w"].tolist() == [[2.5, 5.0]]
    assert mean["half"].tolist() == [1.75]
    assert int(mean["num_batches_tracked"]) == 9  # 9.25
    assert mean["mask"].tolist() == [True, True]
    assert [(k, v.dtype, v.shape) for k, v in mean.items()] == [
        (k, v.dtype, v.shape) for k, v in models[0].items()
    ]


def test_sums_are_in_float64() -> None:
    models = [{"x": np.array([value], np.float32)} for value in (1e8, 1.0, -1e8)]
    assert weighted_mean(models, [1 / 3] * 3)["x"][0] == pytest.approx(1 / 3, rel=1e-6)


def test_one_client_comes_back_unchanged() -> None:
    model = {"x": np.random.default_rng(0).normal(size=100).astype(np.float32)}
    assert weighted_mean([model, model], [1.0, 0.0])["x"].tobytes() == model["x"].tobytes()


def test_a_model_of_weight_zero_is_not_read() -> None:
    models = [{"x": np.ones(1)}, {"x": np.full(1, np.nan)}]
    assert weighted_mean(models, [1.0, 0.0])["x"].tolist() == [1.0]
    with pytest.raises(ValueError, match="positive weight"):
        weighted_mean(models, [0.0, 0.0])


def test_flaws_are_named() -> None:
    like = {"w": np.zeros((2, 2), np.float32), "n": np.array(1)}
    assert flaw(like, like) is None
    bad = {**like, "w": np.array([[0, np.nan], [np.inf, 0]], np.float32)}
    assert flaw(bad, like) == "array 'w' has 2 values that are not finite"
    assert "float64[2, 2], the global model's is float32[2, 2]" in str(
        flaw({**like, "w": np.zeros((2, 2))}, like)
    )
    assert "'w' is float32[3]" in str(flaw({**like, "w": np.zeros(3, np.float32)}, like))
    assert "missing ['n'], unexpected ['m']" in str(flaw({"w": like["w"], "m": like["n"]}, like))


def test_unreadable_arrays_are_named() -> None:
    record = encode({"w": np.zeros(3)})
    record["w"].data = record["w"].data[:-5]
    with pytest.raises(ValueError, match="array 'w' cannot be read"):
        decode(record)


def test_parts_that_are_joined_come_apart_again() -> None:
    one, two = {"w": np.zeros(1), "a/b": np.ones(2)}, {"w": np.ones(3)}
    both = joined({"one": one, "two": two, "none": {}})
    assert list(both) == ["one/w", "one/a/b", "two/w"]
    assert parted(both, "one", "none") == (one, {}, {"two/w": two["w"]})
