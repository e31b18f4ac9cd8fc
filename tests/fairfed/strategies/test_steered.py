"""The strategy on replies made by hand, and under Flower's own ``Strategy.start``."""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from fairfed.engines.inprocess import InProcessGrid
from fairfed.strategies.replies import ReplyKeys
from fairfed.strategies.signals import accuracy
from fairfed.strategies.steered import FairnessSteered
from semantic.errors import InputError
from tests.fairfed.strategies.made_replies import (
    NAN,
    SHAPE,
    answer,
    arrays,
    counts,
    reply,
    value,
    weights,
)


def fairfed(beta: float, **settings: Any) -> FairnessSteered:
    """FairFed on the gap of accuracy."""
    return FairnessSteered(
        SHAPE, rule="fairfed", options={"beta": beta}, metric=accuracy, **settings
    )


def test_fedavg_by_hand_keeps_integer_buffers() -> None:
    strategy = FairnessSteered(SHAPE)
    replies = answer([reply(0, 1.0, n_real=30), reply(1, 5.0, n_real=10, n_synthetic=900)])
    merged, totals = strategy.aggregate_train(1, replies[::-1])
    assert value(merged) == 2.0
    assert merged is not None
    assert merged["num_batches_tracked"].numpy().dtype == np.int64
    assert weights(strategy) == [0.75, 0.25]
    assert totals is not None
    assert totals["counts"] == counts(10, 10)  # summed, not averaged
    assert (totals["n-real"], totals["n-synthetic"], totals["clients"]) == (40, 900, 2)
    assert strategy.train_log[1][0] == {
        "client": 0, "error": None, "n_real": 30, "n_synthetic": 0, "loss": 1.0, "signal": None,
        "raw_weight": 0.75, "weight": 0.75, "drawn_down": False, "guard": None, "note": None,
            "seconds": 0.5,
    }  # fmt: skip


def test_fairfed_by_hand() -> None:
    """Accuracies .7 and 0 around a pooled .35 would give equal gaps; so the metric is made up."""

    def metric(c: NDArray[np.int64]) -> float:
        return {10: 0.0, 11: 0.2, 21: 0.7}[int(c.sum())]  # gaps .7 and .5

    strategy = FairnessSteered(SHAPE, rule="fairfed", options={"beta": 0.1}, metric=metric)
    replies = answer([reply(0, 0.0, counts=counts(5, 5)), reply(1, 1.0, counts=counts(5, 6))])
    merged, _ = strategy.aggregate_train(1, replies)
    assert weights(strategy) == pytest.approx([0.49, 0.51])
    assert [row["signal"] for row in strategy.train_log[1]] == pytest.approx([0.7, 0.5])
    assert value(merged) == pytest.approx(0.51)
    strategy.aggregate_train(2, replies)
    assert weights(strategy, 2) == pytest.approx([0.48, 0.52])


def test_beta_zero_gives_fedavgs_bytes() -> None:
    replies = answer([reply(i, 0.1 * i + 0.05, n_real=7 * i + 3) for i in range(5)])
    plain, _ = FairnessSteered(SHAPE).aggregate_train(1, replies)
    steered, _ = fairfed(0.0).aggregate_train(1, replies)
    assert plain is not None
    assert steered is not None
    assert plain["x"].data == steered["x"].data


def test_all_zero_weights_do_not_divide_by_zero() -> None:
    strategy = FairnessSteered(SHAPE)
    merged, _ = strategy.aggregate_train(
        1, answer([reply(0, 1.0, n_real=0), reply(1, 3.0, n_real=0)])
    )
    assert value(merged) == 2.0
    assert "equal weights" in strategy.train_log[1][0]["guard"]


def test_a_robust_aggregator_is_noted_and_is_no_guard() -> None:
    strategy = FairnessSteered(SHAPE, aggregator="median")
    strategy.aggregate_train(1, answer([reply(0, 1.0), reply(1, 2.0), reply(2, 9.0)]))
    rows = strategy.train_log[1]
    assert {row["note"] for row in rows} == {"weights not used: median"}
    assert {row["guard"] for row in rows} == {None}


def test_nobody_usable_gives_no_model() -> None:
    strategy = fairfed(1.0)
    assert strategy.aggregate_train(1, answer(["boom", "bang"])) == (None, None)
    assert strategy.aggregate_train(2, []) == (None, None)
    assert strategy.aggregate_train(3, answer([reply(0, n_real=-1)])) == (None, None)
    assert strategy.aggregate_evaluate(1, answer(["boom"])) is None
    assert strategy.evaluate_log[1][0]["test_counts"] is None


def test_evaluation_sums_counts() -> None:
    strategy = FairnessSteered(SHAPE)
    contents = [reply(1, counts=counts(1, 2), loss=NAN), reply(0, counts=counts(3, 4))]
    totals = strategy.aggregate_evaluate(4, answer(contents))
    assert totals is not None
    assert totals["counts"] == counts(4, 6)
    assert strategy.evaluate_log[4] == [
        {"client": 0, "error": None, "test_loss": 1.0, "test_counts": [[[3, 4], [0, 0]]]},
        {"client": 1, "error": None, "test_loss": None, "test_counts": [[[1, 2], [0, 0]]]},
    ]


def test_metric_keys_are_arguments() -> None:
    keys = ReplyKeys(n_real="num-examples", metrics="m")
    strategy = FairnessSteered(SHAPE, keys=keys)
    metrics = reply(0, num_examples=3)["metrics"]
    strategy.aggregate_train(1, answer([RecordDict({"arrays": arrays(1.0), "m": metrics})]))
    assert strategy.train_log[1][0]["n_real"] == 3


def test_state_survives_json() -> None:
    replies = answer([reply(0, counts=counts(1, 9)), reply(1, 1.0, counts=counts(9, 2))])
    one = fairfed(0.37)
    one.aggregate_train(1, replies)
    two = fairfed(0.37)
    two.load_state_dict(json.loads(json.dumps(one.state_dict())))
    first, second = one.aggregate_train(2, replies)[0], two.aggregate_train(2, replies)[0]
    assert first is not None
    assert second is not None
    assert first["x"].data == second["x"].data
    with pytest.raises(InputError, match=r"beta=0.37, this one has beta=0.5"):
        fairfed(0.5).load_state_dict(one.state_dict())
    with pytest.raises(InputError, match="arrays that are none of this one's: control/x"):
        two.load_state_dict(one.state_dict(), {"control/x": np.zeros(1)})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"rule": "fedprox"}, "rule 'fedprox': expected one of fedavg, fairfed"),
        ({"rule": "fairfed"}, "give one"),
        ({"rule": "fairfed", "options": {"beta": -1.0}, "metric": accuracy}, "beta = -1.0"),
        ({"rule": "fairfed", "options": {"beta": NAN}, "metric": accuracy}, "beta = nan"),
        ({"fraction": 0.0}, "fraction = 0.0"),
    ],
)
def test_wrong_arguments_name_the_field(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        FairnessSteered(SHAPE, **arguments)


def moving_app() -> ClientApp:
    """Move x a tenth of the way to one's own partition id."""
    app = ClientApp()

    @app.query("describe")
    def describe(msg: Message, context: Context) -> Message:
        metrics = MetricRecord({"partition-id": int(context.node_config["partition-id"])})
        return Message(RecordDict({"metrics": metrics}), reply_to=msg)

    @app.train()
    @app.evaluate()
    def step(msg: Message, context: Context) -> Message:
        client = int(context.node_config["partition-id"])
        x = float(msg.content["arrays"]["x"].numpy()[0])
        assert msg.content["config"]["round"] >= 1
        return Message(reply(client, x + 0.1 * (client - x), n_real=client + 1), reply_to=msg)

    return app


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_it_works_with_flowers_own_loop(fraction: float, caplog: pytest.LogCaptureFixture) -> None:
    strategy = fairfed(0.1, fraction=fraction, min_nodes=4)
    with (
        caplog.at_level(logging.INFO, "fairfed"),
        InProcessGrid(moving_app(), 4, wire=True) as grid,
    ):
        result = strategy.start(
            grid, arrays(0.0), num_rounds=2, timeout=60, train_config=ConfigRecord({"lr": 0.1})
        )
    assert "Rule: fairfed (beta 0.1)" in caplog.text
    assert "Signal: gap of accuracy" in caplog.text
    assert sorted(strategy.train_log) == [1, 2]
    assert len(strategy.train_log[2]) == (4 if fraction == 1.0 else 2)
    assert len(strategy.evaluate_log[2]) == 4
    assert result.evaluate_metrics_clientapp[2]["counts"] == counts(20, 20)
    if fraction == 1.0:  # 0.1 x sum(k (k + 1)) / 10 = .2, then .9 x .2 + .2
        assert value(result.arrays) == pytest.approx(0.38)
