"""Replies made by hand, and what came of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fairfed.engines.inprocess import InProcessGrid
from fairfed.strategies.steered import FairnessSteered

NAN, INF = float("nan"), float("inf")
SHAPE = (1, 2)


def arrays(x: float, batches: int = 1) -> ArrayRecord:
    return ArrayRecord(
        {
            "x": Array(np.array([x], np.float32)),
            "num_batches_tracked": Array(np.array(batches, np.int64)),
        }
    )


def counts(right: int, wrong: int) -> list[int]:
    return [right, wrong, 0, 0]


def reply(client: int, x: float = 0.0, drop: str | None = None, **metrics: Any) -> RecordDict:
    """Build what a client sends; keyword names have underscores for dashes."""
    values: dict[str, Any] = {
        "partition-id": client,
        "loss": 1.0,
        "n-real": 10,
        "n-synthetic": 0,
        "counts": counts(5, 5),
        "seconds": 0.5,
    }
    values |= {key.replace("_", "-"): value for key, value in metrics.items()}
    values.pop(drop or "", None)
    return RecordDict({"arrays": arrays(x), "metrics": MetricRecord(values)})


def answer(contents: list[RecordDict | str]) -> list[Message]:
    """Turn contents (or reasons of errors) into replies of nodes 1000, 1001, ..."""
    app, given = ClientApp(), dict(enumerate(contents))

    @app.train()
    def train(msg: Message, context: Context) -> Message:
        content = given[int(context.node_config["partition-id"])]
        if isinstance(content, str):
            raise ValueError(content)
        return Message(content, reply_to=msg)

    with InProcessGrid(app, len(contents)) as grid:
        requests = [Message(RecordDict(), node, "train") for node in grid.get_node_ids()]
        return list(grid.send_and_receive(requests))


def weights(strategy: FairnessSteered, server_round: int = 1) -> list[float]:
    return [row["weight"] for row in strategy.train_log[server_round]]


def value(record: ArrayRecord | None) -> float:
    assert record is not None
    return float(record["x"].numpy()[0])
