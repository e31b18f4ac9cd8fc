"""Replies that cannot be used: what is wrong with one ends neither the round nor the run."""

from __future__ import annotations

import math
from io import BytesIO

import numpy as np
import pytest
from flwr.app import ArrayRecord, RecordDict

from fairfed.rounds.exchange import Client
from fairfed.strategies.steered import FairnessSteered
from tests.fairfed.strategies.made_replies import INF, NAN, SHAPE, answer, reply, value, weights


@pytest.mark.parametrize("n", [NAN, -10, 10.5, float("inf"), 1.7e308, 2**53, 2**2000])
def test_an_impossible_number_of_examples_cannot_move_the_model(n: float) -> None:
    strategy = FairnessSteered(SHAPE)
    merged, _ = strategy.aggregate_train(1, answer([reply(0, 1.0), reply(1, 1e6, n_real=n)]))
    assert value(merged) == 1.0
    row = strategy.train_log[1][1]
    assert row["weight"] == 0.0
    assert row["error"].startswith("'n-real' is ")
    assert all(v is None or not isinstance(v, float) or math.isfinite(v) for v in row.values())


@pytest.mark.parametrize("name", ["partition-id", "loss", "n-real", "n-synthetic", "counts"])
def test_an_omitted_key_rejects_one_reply_and_not_the_run(name: str) -> None:
    strategy = FairnessSteered(SHAPE)
    merged, totals = strategy.aggregate_train(1, answer([reply(0, 1.0), reply(1, 9.0, drop=name)]))
    assert value(merged) == 1.0
    assert totals is not None
    assert totals["rejected"] == 1
    failed = next(row for row in strategy.train_log[1] if row["error"])
    assert f"has no '{name}'" in failed["error"]
    assert failed["weight"] == 0.0


def test_seconds_may_be_absent() -> None:
    strategy = FairnessSteered(SHAPE)
    strategy.aggregate_train(1, answer([reply(0, drop="seconds")]))
    assert strategy.train_log[1][0]["seconds"] == 0.0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (RecordDict(), "no MetricRecord 'metrics'"),
        (RecordDict({"metrics": reply(1)["metrics"]}), "no ArrayRecord 'arrays'"),
        (reply(1, counts=[1, 2, 3]), "must be 4 counts >= 0 .* got 3 values"),
        (reply(1, counts=[1, 2, 3, -4]), "not all of them counts"),
        (reply(1, counts=[1.0, 2.0, 3.0, 4.0]), "not all of them counts"),
        (reply(1, loss=[1.0]), r"'loss' is \[1.0\]: expected a number"),
        (reply(1, n_synthetic=1.5), "'n-synthetic' is 1.5: expected a whole number"),
        (reply(1, generated=INF), "'generated' is inf: expected a whole number"),
        (reply(1, seconds=NAN), "'seconds' is nan: expected seconds"),
        (reply(1, seconds=INF), "'seconds' is inf: expected seconds"),
        (reply(1, seconds=-1), "'seconds' is -1.0: expected seconds"),
        (
            reply(1, inversion_seconds=1e10),
            "'inversion-seconds' is 1000.*: expected",
        ),
        (reply(1, partition_id=NAN), "'partition-id' is nan: expected an integer"),
        (reply(1, partition_id=INF), "'partition-id' is inf: expected an integer"),
        (reply(1, partition_id=2.7), "'partition-id' is 2.7: expected an integer"),
        (reply(1, NAN), "array 'x' has 1 values that are not finite"),
        (RecordDict({**reply(1), "arrays": ArrayRecord([np.ones(1)])}), "missing .*'x'"),
        ("boom", "ValueError.*boom"),
    ],
)
def test_an_unusable_reply_is_left_out_with_its_reason(
    content: RecordDict | str, reason: str
) -> None:
    strategy = FairnessSteered(SHAPE)
    merged, _ = strategy.aggregate_train(1, answer([reply(0, 1.0), content]))
    assert value(merged) == 1.0
    failed = next(row for row in strategy.train_log[1] if row["error"])
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(failed["error"])


def test_whole_numbers_may_be_floats() -> None:
    strategy = FairnessSteered(SHAPE)
    strategy.aggregate_train(1, answer([reply(0, n_real=30.0, n_synthetic=2.0)]))
    row = strategy.train_log[1][0]
    assert (row["n_real"], row["n_synthetic"]) == (30, 2)
    assert isinstance(row["n_real"], int)


@pytest.mark.parametrize("name", ["n-real", "n-synthetic"])
def test_two_liars_do_not_end_the_evaluation(name: str) -> None:
    strategy = FairnessSteered(SHAPE)
    said = {name.replace("-", "_"): 1.7e308}
    strategy.aggregate_train(1, answer([reply(0), reply(1, **said), reply(2, **said)]))
    assert weights(strategy) == [1.0, 0.0, 0.0]
    liar = {"n_real": 1.7e308}
    totals = strategy.aggregate_evaluate(1, answer([reply(0, **liar), reply(1, **liar)]))
    assert totals is None
    totals = strategy.aggregate_evaluate(1, answer([reply(0), reply(1, partition_id=NAN)]))
    assert totals is not None
    assert (totals["clients"], totals["rejected"]) == (1, 1)


def packed() -> bytes:
    """An archive with the array in it."""
    stream = BytesIO()
    np.savez(stream, x=np.ones(1, np.float32))
    return stream.getvalue()


def declaring(shape: tuple[int, ...]) -> bytes:
    """The header of an array and none of its values."""
    stream = BytesIO()
    head = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, head)
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"half a fi", b"", b"PK\x03\x04cut", packed(), declaring((10**13,)), declaring((-1, -1))],
    ids=["text", "nothing", "cut archive", "archive", "huge", "negative"],
)
def test_a_model_that_cannot_be_read_is_left_out(data: bytes) -> None:
    broken = reply(1, 5.0)
    broken.array_records["arrays"]["x"].data = data
    strategy = FairnessSteered(SHAPE)
    merged, _ = strategy.aggregate_train(1, answer([reply(0, 1.0), broken]))
    assert value(merged) == 1.0
    assert "array 'x' cannot be read" in strategy.train_log[1][1]["error"]


def test_a_client_cannot_speak_for_another() -> None:
    strategy = FairnessSteered(SHAPE)
    clients = [Client(0, "north", 1000), Client(1, "south", 1001), Client(2, "west", 1002)]
    strategy.enroll(clients, seed=0, fraction=1.0)
    strategy.aggregate_train(1, answer([reply(0), reply(0), reply(2)]))
    assert weights(strategy) == [0.5, 0.0, 0.5]
    assert "says 'partition-id' 0, the handshake said 1" in strategy.train_log[1][1]["error"]
    unknown = FairnessSteered(SHAPE)
    unknown.aggregate_train(1, answer([reply(0, 1.0), reply(0, 5.0)]))
    assert weights(unknown) == [1.0]
