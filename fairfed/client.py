"""The Flower ClientApp: what a client answers, on every engine.

What leaves a client: its weights, and counts. No image, file name or value of a row does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fairfed import site
from fairfed.draws import generator_of
from fairfed.extension import extended_set
from fairfed.personal import keep_personal, recall_personal, train_personal
from fairfed.zda.client import with_inverted

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from fairfed.baselines.scaffold import ClientVariate
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


@app.query("summarise")
def summarise(message: Message, context: Context) -> Message:
    """Say in sums what the columns of the client's training rows are like (tables only)."""
    from fairfed.tabular.fit import to_records
    from fairfed.tabular.summary import summary_of

    toml, config, arm = _settings(message)
    client = _client(context)
    data = site.rows(toml, arm.iid)
    said = summary_of(config.data.table, data.table.features.iloc[data.train[client]])
    who = MetricRecord({"partition-id": client})
    return Message(RecordDict({"metrics": who, **to_records(said)}), reply_to=message)


@app.query("release")
def release(message: Message, context: Context) -> Message:
    """Noised prototypes of the client's classes, once (system `one-shot`)."""
    from fairfed.baselines.prototypes import release as released

    toml, _, arm = _settings(message)
    return Message(released(toml, arm, _client(context), context), reply_to=message)


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
    """The model that came with a request; where none travels, the one that all begin with."""
    from fairfed.models import federated_model

    if arm.system == "zero-shot":
        from fairfed.baselines.zero_shot import zero_shot_head

        return zero_shot_head(toml, arm.iid)
    classes = len(site.federation(toml, arm.iid).table.classes)
    model = federated_model(config, classes, arm)
    if "encoder" in message.content.config_records["config"]:
        from fairfed.adapting.classifier import require_same

        require_same(config, str(message.content.config_records["config"]["encoder"]))
    if arm.sends_model:
        model.load_state_dict(message.content.array_records["arrays"].to_torch_state_dict())
    return model


def _own_model(
    message: Message, context: Context, toml: str, config: Config, arm: Arm
) -> nn.Module:
    """The model that a client is measured with: the received one, or one of its own."""
    model = _received_model(message, toml, config, arm)
    return recall_personal(context, arm, model) if arm.own_models else model


def _training_set(message: Message, client: int) -> site.TrainingSet:
    """What the client trains on, with what the closed loop has planned for it."""
    toml, _, arm = _settings(message)
    sent = message.content.config_records["config"]
    if "extra-cells" not in sent:
        return site.training_set(toml, arm, client)
    table = site.federation(toml, arm.iid).table
    shape = len(table.classes), len(table.group_names)
    extra, new = (np.reshape(np.asarray(sent[name], np.int64), shape)
                  for name in ("extra-cells", "new-cells"))  # fmt: skip
    return extended_set(toml, arm, client, extra, new)


def _loss_weights(
    message: Message, context: Context, own: site.TrainingSet, counts: NDArray[np.int64]
) -> Tensor | None:
    """Weights of the training rows in the loss: local debiasing, and what the server asked for."""
    import torch

    from fairfed.strategies.local import loss_weights

    _, config, arm = _settings(message)
    debias = arm.debias or config.train.debias
    shape = counts.shape[:2]
    cells, target = (_sent_cells(message, name, shape) for name in ("cell-weights", "cell-target"))
    if debias == "fairbatch":
        moved = _fairbatch(context, arm, counts, config.train.fairbatch_alpha)
        cells = moved if cells is None else cells * moved
    weights = loss_weights(
        own.groups.numpy(),
        own.labels.numpy(),
        (shape[0], shape[1]),
        reweigh=debias == "reweighing",
        cell_weights=cells,
        cell_target=target,
        sampling=None if own.weights is None else own.weights.numpy(),
    )
    return None if weights is None else torch.from_numpy(weights)


def _sent_cells(message: Message, name: str, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """What the server sent by group and class under a name, ``[G, C]``; None if nothing."""
    sent = message.content.config_records["config"].get(name)
    return None if sent is None else np.reshape(np.asarray(sent, np.float64), shape)


def _fairbatch(
    context: Context, arm: Arm, counts: NDArray[np.int64], alpha: float
) -> NDArray[np.float64]:
    """Move the shares that the client keeps, and return the weights of its cells."""
    from fairfed.strategies.local import fairbatch

    key = f"fairbatch-{arm.slug}"
    kept = context.state.array_records.get(key)
    shares = None if kept is None else kept["shares"].numpy()
    shares, weights = fairbatch(counts, shares, alpha)
    context.state[key] = ArrayRecord({"shares": Array(shares)})
    return weights


@app.train()
def train(message: Message, context: Context) -> Message:
    """Measure the received model on the client's real images, then train it."""
    import torch

    from fairfed.models import confusion_counts, train_epochs

    toml, config, arm = _settings(message)
    client, start = _client(context), time.perf_counter()
    asked = message.content.config_records["config"]
    own = _training_set(message, client)
    data = site.federation(toml, arm.iid)
    table, rows = data.table, site.training_rows(toml, arm, client)
    model = _received_model(message, toml, config, arm)
    if not arm.sends_model:
        model = recall_personal(context, arm, model)
    counts, received_loss = confusion_counts(
        model,
        own.inputs[: own.n_real],
        own.labels[: own.n_real],
        torch.from_numpy(table.groups[rows]),
        n_groups=len(table.group_names),
        n_classes=len(table.classes),
    )
    server_round = int(asked["round"])  # type: ignore[arg-type]
    inverting: dict[str, int | float] = {}
    if arm.inversion == "client":
        own, inverting = with_inverted(context, toml, arm, client, server_round, model, own)
    how = {
        **site.training_settings(config, arm),
        "weights": own.weights,
        "samples_per_epoch": own.size,
        "loss_weights": _loss_weights(message, context, own, counts),
    }
    if arm.personal is not None:
        draw = generator_of(config.seed, client, server_round, 1)
        personal = _received_model(message, toml, config, arm)
        how_personal = {**how, "generator": draw}
        train_personal(context, arm, model, personal, own.inputs, own.labels, how_personal)
    draw = generator_of(config.seed, client, server_round)
    variate = _variate(message, context, arm, model)
    loss = received_loss
    if own.size and arm.system != "zero-shot":
        correction = variate.correction if variate else None
        loss = train_epochs(
            model, own.inputs, own.labels, **how, generator=draw, correction=correction
        )
    metrics = MetricRecord(
        {
            "partition-id": client,
            "loss": loss,
            "n-real": own.n_real,
            "n-synthetic": own.n_synthetic,
            "counts": counts.ravel().tolist(),
            "seconds": time.perf_counter() - start,
            **inverting,
        }
    )
    if asked.get("ask-loss"):
        metrics["received-loss"] = received_loss
    if "extra-cells" in asked:
        metrics["generated"], metrics["reused"] = own.spent
    reply = RecordDict({"arrays": ArrayRecord(), "metrics": metrics})
    if arm.sends_model:
        reply["arrays"] = ArrayRecord(model.state_dict())
    elif arm.own_models:
        keep_personal(context, arm, model)
    if variate is not None:
        reply["control"] = variate.finish(_gradient_weight(config, own.size))
    return Message(reply, reply_to=message)


def _variate(
    message: Message, context: Context, arm: Arm, model: nn.Module
) -> ClientVariate | None:
    """SCAFFOLD's part of a training, where the server sent its variate."""
    if not arm.control_variates:
        return None
    from fairfed.baselines.scaffold import ClientVariate

    sent = message.content.array_records["control"]
    return ClientVariate(context, arm.slug, sent, model)


def _gradient_weight(config: Config, rows: int) -> float:
    from fairfed.baselines.scaffold import gradient_weight, local_steps

    train = config.train
    steps = local_steps(rows, train.batch_size, train.epochs)
    return gradient_weight(steps, train.lr, train.momentum)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Count how the received model, or Ditto's personal one, classifies the client's test rows."""
    import torch

    from fairfed.models import confusion_counts

    toml, config, arm = _settings(message)
    client = _client(context)
    data = site.federation(toml, arm.iid)
    table, rows = data.table, data.test[client]
    counts, loss = confusion_counts(
        _own_model(message, context, toml, config, arm),
        site.model_rows(toml, arm, rows),
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


@app.query("audit")
def audit(message: Message, context: Context) -> Message:
    """Count the received model's predictions and scores on the client's test rows."""
    from fairfed.auditing import client_counts

    toml, config, arm = _settings(message)
    model = _own_model(message, context, toml, config, arm)
    asked = message.content.config_records["config"]
    return Message(client_counts(model, toml, arm, _client(context), asked), reply_to=message)


@app.query("zsl")
def summarise_features(message: Message, context: Context) -> Message:
    """Say how many features the client has, and their scale, in federated zero-shot learning."""
    from fairfed.zsl import client

    return client.summarise(message, context)


@app.train("zsl")
def train_features(message: Message, context: Context) -> Message:
    """Train the received generator of features, in federated zero-shot learning."""
    from fairfed.zsl import client

    return client.train(message, context)


@app.query("peer")
def peer(message: Message, context: Context) -> Message:
    """Act as a peer in one phase of a topology without a server."""
    from fairfed.peers import node

    return node.act(message, context)


@app.query("adapt")
def adapt(message: Message, context: Context) -> Message:
    """Adapt the received model on the client's rows; answer how many test rows it gets right."""
    from fairfed.peers import node

    return node.adapt(message, context)


@app.train("specialise")
def train_generator(message: Message, context: Context) -> Message:
    """Train the received LoRA of the generator, in domain specialisation."""
    from fairfed.adapting import client

    return client.train(message, context)


@app.evaluate("specialise")
def judge_generator(message: Message, context: Context) -> Message:
    """Sum the received LoRA's losses on held-out images, in domain specialisation."""
    from fairfed.adapting import client

    return client.evaluate(message, context)


@app.query("shared")
def describe_shared(message: Message, context: Context) -> Message:
    """Say how many examples of which modality the client has, in a shared space."""
    from fairfed.shared_space import client

    return client.describe(message, context)


@app.train("shared")
def train_shared(message: Message, context: Context) -> Message:
    """Train the received adapter on the client's own label set, in a shared space."""
    from fairfed.shared_space import client

    return client.train(message, context)


@app.evaluate("shared")
def evaluate_shared(message: Message, context: Context) -> Message:
    """Count how the received adapter classifies the client's test images, in a shared space."""
    from fairfed.shared_space import client

    return client.evaluate(message, context)
