"""What a client answers in federated zero-shot learning; registered in `fairfed.client`.

What leaves a client: the generator's weights, two losses, how many rows it has and how long it
took. The discriminator and the classifier stay in its context's state.
"""

from __future__ import annotations

import time

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from torch import nn

from fairfed import site
from fairfed.client_state import keep
from fairfed.config.zsl import ZslConfig
from fairfed.draws import generator_of
from fairfed.errors import PublicInputError
from fairfed.zsl.classify import fit_softmax
from fairfed.zsl.data import features, scale, split
from fairfed.zsl.draws import CLASSIFIER, CRITIC, TRAINING
from fairfed.zsl.networks import (
    Conditions,
    Discriminator,
    discriminator,
    feature_generator,
    initialise,
)
from fairfed.zsl.training import Rows, train_gan
from fairfed.zsl.variants import settings, variant_of

CRITIC_KEY, CLASSIFIER_KEY = "zsl-critic-", "zsl-classifier"
"""Where a client keeps its discriminator (one for each variant) and its classifier."""


def train(message: Message, context: Context) -> Message:
    """Train the received generator against the client's own discriminator; only it goes back."""
    start = time.perf_counter()
    asked = message.content.config_records["config"]
    toml, variant = str(asked["toml"]), variant_of(str(asked["arm"]))
    config, table = site.configuration(toml), features(toml)
    zsl, client = settings(config), _client(context, toml)
    rows = _rows(toml, client)
    maker = feature_generator(table, variant, zsl)
    maker.load_state_dict(message.content.array_records["arrays"].to_torch_state_dict())
    critic = discriminator(table, zsl)
    key = CRITIC_KEY + variant.arm.slug
    _recall_critic(context, critic, key, config.seed, client)
    classifier = _classifier(context, rows, zsl, config.seed, client)
    draw = generator_of(TRAINING, config.seed, client, int(asked["round"]))  # type: ignore[arg-type]
    conditions = Conditions(table, variant, zsl.text_noise)
    losses = train_gan(maker, critic, classifier, rows, conditions, zsl, draw)
    keep(context, key, ArrayRecord(critic.state_dict()))
    metrics = MetricRecord(
        {
            "partition-id": client,
            "n-real": len(rows.labels),
            "loss-discriminator": losses[0],
            "loss-generator": losses[1],
            "seconds": time.perf_counter() - start,
        }
    )
    arrays = ArrayRecord(maker.state_dict())
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


def _client(context: Context, toml: str) -> int:
    client, clients = int(context.node_config["partition-id"]), len(split(toml).blocks)
    if client >= clients:
        raise PublicInputError(
            f"client {client} has no classes: partition.clients is {clients}; set it to the number "
            "of clients"
        )
    return client


def _rows(toml: str, client: int) -> Rows:
    """The client's rows, brought to the federation's scale."""
    table, own, block = features(toml), split(toml).train[client], split(toml).blocks[client]
    labels = torch.from_numpy(table.labels[own])
    targets = (labels[:, None] == torch.tensor(block)).int().argmax(1)
    return Rows(torch.from_numpy(table.features[own]) * scale(toml), labels, targets)


def _recall_critic(
    context: Context, critic: Discriminator, key: str, seed: int, client: int
) -> None:
    """Load the client's discriminator of this variant, or draw it; forget those of others."""
    for name in [n for n in context.state if n.startswith(CRITIC_KEY) and n != key]:
        del context.state[name]
    kept = context.state.array_records.get(key)
    if kept is None:
        initialise(critic, generator_of(CRITIC, seed, client))
    else:
        critic.load_state_dict(kept.to_torch_state_dict())


def _classifier(context: Context, rows: Rows, zsl: ZslConfig, seed: int, client: int) -> nn.Linear:
    """The client's classifier of its own classes, pretrained on real rows once, then frozen."""
    kept = context.state.array_records.get(CLASSIFIER_KEY)
    classes = range(int(rows.targets.max()) + 1)
    if kept is None:
        made = fit_softmax(
            rows.features,
            rows.targets,
            classes,
            epochs=zsl.classifier_epochs,
            lr=zsl.classifier_lr,
            batch_size=zsl.batch_size,
            generator=generator_of(CLASSIFIER, seed, client),
        )
        context.state[CLASSIFIER_KEY] = ArrayRecord(made.state_dict())
        return made
    made = nn.Linear(rows.features.shape[1], len(classes))
    made.load_state_dict(kept.to_torch_state_dict())
    return made.requires_grad_(False)
