"""The Flower ClientApp: what a client answers, on every engine.

What leaves a client: its weights, and counts. No image, file name or value of a row does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fairfed import site

if TYPE_CHECKING:
    from torch import nn

    from fairfed.config import Arm, Config

app = ClientApp()


def _client(context: Context) -> int:
    return int(context.node_config["partition-id"])


def _settings(message: Message) -> tuple[str, Config, Arm]:
    """Configuration text, configuration and arm that a request is about."""
    sent = message.content.config_records["config"]
    toml = str(sent["toml"])
    config = site.configuration(toml)
    arm = next(arm for arm in config.arms if arm.slug == sent["arm"])
    return toml, config, arm


def _reply(message: Message, metrics: dict[str, int | float | list[int] | list[float]]) -> Message:
    return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)


@app.query("describe")
def describe(message: Message, context: Context) -> Message:
    """How many images the client holds in each cell; only who it is, if asked without settings."""
    if "toml" not in message.content.config_records["config"]:
        return _reply(message, {"partition-id": _client(context)})
    toml, _, arm = _settings(message)
    client = _client(context)
    data = site.federation(toml, arm.iid)
    return _reply(
        message,
        {
            "partition-id": client,
            "train-cells": data.table.cells(data.train[client]).ravel().tolist(),
            "test-cells": data.table.cells(data.test[client]).ravel().tolist(),
        },
    )


@app.query("augment")
def augment(message: Message, context: Context) -> Message:
    """Fill the client's gaps with synthetic images, which stay with it; answer with counts."""
    toml, _, arm = _settings(message)
    client = _client(context)
    made = site.synthesise(toml, arm, client)
    rejected: dict[str, int | float | list[int] | list[float]] = {
        f"rejected-{reason}": cells.ravel().tolist() for reason, cells in made.rejected.items()
    }
    return _reply(
        message,
        {
            "partition-id": client,
            "requested-cells": made.requested.ravel().tolist(),
            "accepted-cells": made.accepted.ravel().tolist(),
            "generated": made.generated,
            "reused": made.reused,
            **rejected,
        },
    )


def _received_model(message: Message, toml: str, config: Config, arm: Arm) -> nn.Module:
    from fairfed.models import federated_model

    classes = len(site.federation(toml, arm.iid).table.classes)
    model = federated_model(config, classes)
    model.load_state_dict(message.content.array_records["arrays"].to_torch_state_dict())
    return model


@app.train()
def train(message: Message, context: Context) -> Message:
    """Measure the received model on the client's real images, then train it."""
    import torch

    from fairfed.models import confusion_counts, train_epochs

    toml, config, arm = _settings(message)
    client, start = _client(context), time.perf_counter()
    own = site.training_set(toml, arm, client)
    data = site.federation(toml, arm.iid)
    table, rows = data.table, data.train[client]
    model = _received_model(message, toml, config, arm)
    counts, _ = confusion_counts(
        model,
        own.inputs[: own.n_real],
        own.labels[: own.n_real],
        torch.from_numpy(table.groups[rows]),
        n_groups=len(table.group_names),
        n_classes=len(table.classes),
    )
    server_round = int(message.content.config_records["config"]["round"])  # type: ignore[arg-type]
    draw = np.random.SeedSequence((config.seed, client, server_round)).generate_state(1, np.uint64)
    loss = train_epochs(
        model,
        own.inputs,
        own.labels,
        **config.train.model_dump(),
        generator=torch.Generator().manual_seed(int(draw[0] >> np.uint64(1))),
        weights=own.weights,
        samples_per_epoch=own.size,
    )
    metrics = MetricRecord(
        {
            "partition-id": client,
            "loss": loss,
            "n-real": own.n_real,
            "n-synthetic": own.n_synthetic,
            "counts": counts.ravel().tolist(),
            "seconds": time.perf_counter() - start,
        }
    )
    arrays = ArrayRecord(model.state_dict())
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Count how the received model classifies the client's test images."""
    import torch

    from fairfed.models import confusion_counts, model_inputs

    toml, config, arm = _settings(message)
    client = _client(context)
    data = site.federation(toml, arm.iid)
    table, rows = data.table, data.test[client]
    counts, loss = confusion_counts(
        _received_model(message, toml, config, arm),
        model_inputs(config, table.images[rows]),
        torch.from_numpy(table.labels[rows]),
        torch.from_numpy(table.groups[rows]),
        n_groups=len(table.group_names),
        n_classes=len(table.classes),
    )
    return _reply(
        message,
        {
            "partition-id": client,
            "loss": loss,
            "n-real": len(rows),
            "counts": counts.ravel().tolist(),
        },
    )
