"""What leaves a client: a test watches every message of a run with every arm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.app import Message

from fairfed.config import Config
from fairfed.engines.inprocess import run_in_process
from fairfed.experiment import count_clients
from fairfed.models import federated_model
from fairfed.server import server_app
from fairfed.site import federation

ALLOWED = {
    "partition-id", "train-cells", "test-cells", "requested-cells",
    "accepted-cells", "generated", "reused", "seconds", "rejected-margin", "rejected-blank",
    "loss", "n-real", "n-synthetic", "counts", "received-loss",
}  # fmt: skip
ARMS = """arms=[
  {name="FedAvg"},
  {name="Loss", rule="afl"},
  {name="Both", rule="fairfed", augment=true},
  {name="Loop", augment=true, replan=1},
  {name="IID", iid=true, reference=true},
]""".replace("\n", " ")


def _watch(config: Config) -> list[Message]:
    from fairfed.client import app

    seen: list[Message] = []
    run_in_process(
        server_app(config),
        app,
        count_clients(config),
        on_reply=lambda done, total, reply: seen.append(reply),
    )
    return seen


def test_replies_hold_weights_and_counts_and_nothing_else(small: Callable[..., Config]) -> None:
    config = small(ARMS)
    replies = _watch(config)
    table = federation(config.to_toml(), False).table
    groups, classes = len(table.group_names), len(table.classes)
    state = federated_model(config, classes).state_dict()
    lengths = {
        "counts": groups * classes**2,
        **dict.fromkeys(("train-cells", "test-cells", "requested-cells"), groups * classes),
        **dict.fromkeys(("accepted-cells", "rejected-margin", "rejected-blank"), groups * classes),
    }
    assert len(replies) > 40
    seen: set[str] = set()
    for reply in replies:
        assert set(reply.content) <= {"arrays", "metrics"}
        metrics = dict(reply.content.metric_records["metrics"])
        assert set(metrics) <= ALLOWED
        seen |= {name for name in metrics if "loss" in metrics}
        for name, value in metrics.items():
            if isinstance(value, list):
                assert len(value) == lengths[name], name
                assert all(isinstance(number, int) for number in value)
            elif "loss" not in name and name != "seconds":
                assert isinstance(value, int), name
        for record in reply.content.array_records.values():
            shapes = {name: tuple(array.numpy().shape) for name, array in record.items()}
            assert shapes == {name: tuple(value.shape) for name, value in state.items()}
    assert {"received-loss", "generated", "reused"} <= seen  # by those that are asked


def test_no_reply_holds_the_bytes_of_an_image_or_its_file_name(
    small: Callable[..., Config],
) -> None:
    from fairfed.engines.private import records_to_bytes

    config = small(ARMS)
    sent = b"".join(records_to_bytes(reply.content) for reply in _watch(config))
    images: np.ndarray[Any, np.dtype[np.uint8]] = federation(config.to_toml(), False).table.images
    assert not any(image.tobytes()[:64] in sent for image in images)
    assert b".png" not in sent
