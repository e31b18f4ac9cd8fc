"""Server optimisers and robust aggregators against Flower's own strategies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import strategy as flower

from fairfed.engines.inprocess import InProcessGrid
from fairfed.rounds.arrays import Model, decode, encode
from fairfed.strategies.aggregate import weighted_mean
from fairfed.strategies.optimisers import FedAdam, FedAvgM, FedYogi, Replace, ServerOptimiser
from fairfed.strategies.robust import Aggregator, Krum, Median, TrimmedMean, krum_scores

ROUNDS, N = 3, [10, 30, 20, 5, 15]


def draw(seed: int) -> Model:
    """A model as float64, so that Flower's precision is ours."""
    rng = np.random.default_rng(seed)
    return {"a": rng.normal(size=(3, 2)), "b": rng.normal(size=4)}


def replies(models: list[Model]) -> list[Message]:
    app = ClientApp()

    @app.train()
    def train(msg: Message, context: Context) -> Message:
        k = int(context.node_config["partition-id"])
        metrics = MetricRecord({"num-examples": N[k]})
        return Message(RecordDict({"arrays": encode(models[k]), "metrics": metrics}), reply_to=msg)

    with InProcessGrid(app, len(models)) as grid:
        return list(
            grid.send_and_receive(
                [Message(RecordDict(), node, "train") for node in grid.get_node_ids()]
            )
        )


def flowers(strategy: Any, received: Model, models: list[Model], server_round: int) -> Model:
    """What Flower makes of a round; only ``current_arrays`` of its set-up is needed."""
    known = encode(received)
    adaptive = isinstance(strategy, flower.FedAdam | flower.FedYogi)
    strategy.current_arrays = decode(known) if adaptive else known
    merged, _ = strategy.aggregate_train(server_round, replies(models))
    return decode(merged)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (FedAvgM(lr=0.7, momentum=0.6),
         flower.FedAvgM(server_learning_rate=0.7, server_momentum=0.6)),
        (FedAdam(eta=0.05), flower.FedAdam(eta=0.05)),
        (FedYogi(), flower.FedYogi()),
    ],
)  # fmt: skip
def test_a_server_optimiser_is_flowers(ours: ServerOptimiser, theirs: Any) -> None:
    mine = other = draw(0)
    for server_round in range(1, ROUNDS + 1):
        models = [draw(100 * server_round + k) for k in range(len(N))]
        other = flowers(theirs, other, models, server_round)
        mean = weighted_mean(models, [n / sum(N) for n in N])
        mine = ours.step(mine, mean, server_round)
        for name, value in other.items():
            assert mine[name] == pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Median(), flower.FedMedian()),
        (TrimmedMean(fraction=0.2), flower.FedTrimmedAvg(beta=0.2)),
        (Krum(malicious=1), flower.Krum(num_malicious_nodes=1)),
    ],
)
def test_a_robust_aggregator_is_flowers(ours: Aggregator, theirs: Any) -> None:
    models = [draw(k) for k in range(len(N))]
    models[3] = {name: value + 1e3 for name, value in models[3].items()}
    mine, weights = ours.merge(models)
    for name, value in flowers(theirs, draw(0), models, 1).items():
        assert mine[name] == pytest.approx(value, rel=1e-9)
    assert weights.sum() == pytest.approx(1)
    assert np.abs(mine["a"]).max() < 10


def test_a_rate_that_falls_follows_half_a_cosine() -> None:
    falling = FedAvgM(lr=2.0, momentum=0.0, final=0.1, rounds=10)
    assert [falling.rate(t) for t in (0, 5, 10, 11)] == pytest.approx([2.0, 1.1, 0.2, 0.2])
    assert FedAvgM(lr=0.7).rate(3) == 0.7


def test_krum_by_hand() -> None:
    models = [{"x": np.array([v])} for v in (0.0, 1.0, 1.5, 100.0)]
    # K - f - 2 = 1 nearest neighbour: squared distances 1, .25, .25, 98.5^2
    assert krum_scores(models, 1) == pytest.approx([1.0, 0.25, 0.25, 98.5**2])
    merged, weights = Krum(malicious=1).merge(models)
    assert merged["x"].tolist() == [1.0]
    assert weights.tolist() == [0.0, 1.0, 0.0, 0.0]


def test_statistics_and_integers_come_from_the_aggregate() -> None:
    received = {"w": np.zeros(2, np.float32), "n.running_var": np.ones(1), "n": np.array(4)}
    target = {"w": np.ones(2, np.float32), "n.running_var": np.full(1, 0.1), "n": np.array(9)}
    for optimiser in (FedAvgM(lr=50.0), FedAdam(eta=9.0), FedYogi(eta=9.0)):
        following = optimiser.step(received, target, 1)
        assert following["n.running_var"].tolist() == [0.1]
        assert following["n"] == 9
        assert following["w"].dtype == np.float32
        assert following["w"][0] > 1
    assert Replace().step(received, target, 1) is target


def test_dtypes_survive_robust_aggregation() -> None:
    models = [{"n": np.array(k), "h": np.array([k], np.float16)} for k in (1, 2, 4)]
    merged, _ = Median().merge(models)
    assert (merged["n"].dtype, int(merged["n"])) == (np.int64, 2)
    assert merged["h"].dtype == np.float16
