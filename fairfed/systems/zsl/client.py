"""What a site does in federated zero-shot learning.

What leaves it: the generator's weights, two losses, how many rows it has and how long it took. The
discriminator and the classifier stay in its context's state.
"""

from __future__ import annotations

import time

import torch
from flwr.app import ArrayRecord, Context, Message
from torch import nn

from fairfed.config.base import required
from fairfed.config.zsl import ZslSettings
from fairfed.draws import generator_of
from fairfed.sites.request import Metrics, Request
from fairfed.sites.simulated import simulated
from fairfed.sites.state import keep
from fairfed.systems.zsl.gan import (
    CLASSIFIER,
    CRITIC,
    TRAINING,
    Conditions,
    Discriminator,
    FeatureGenerator,
    Gan,
    Rows,
    initialise,
)
from fairfed.systems.zsl.judge import fit_softmax
from fairfed.systems.zsl.sites import ZslSites
from fairfed.systems.zsl.table import FeatureTable
from fairfed.systems.zsl.variants import variant_of

CRITIC_KEY, CLASSIFIER_KEY = "zsl-critic-", "zsl-classifier"
"""Where a client keeps its discriminator (one for each variant) and its classifier."""


def train(request: Request) -> Message:
    """Train the received generator against the client's own discriminator; only it goes back."""
    start = time.perf_counter()
    variant, context = variant_of(str(request.sent["arm"])), request.context
    seed, zsl, client = request.study.seed, required(request.study.zsl), request.client
    table, rows = own_rows(request)
    maker = FeatureGenerator(table, variant, zsl)
    maker.load_state_dict(request.weights)
    critic = Discriminator(table, zsl)
    key = CRITIC_KEY + variant.arm.slug
    _recall_critic(context, critic, key, seed, client)
    classifier = _classifier(context, rows, zsl, seed, client)
    draw = generator_of(TRAINING, seed, client, request.round)
    conditions = Conditions(table, variant, zsl.text_noise)
    losses = Gan(maker, critic, classifier, rows, conditions, zsl, draw).train()
    keep(context, key, ArrayRecord(critic.state_dict()))
    metrics: Metrics = {
        "n-real": len(rows.labels),
        "loss-discriminator": losses[0],
        "loss-generator": losses[1],
        "seconds": time.perf_counter() - start,
    }
    return request.reply(metrics, arrays=ArrayRecord(maker.state_dict()))


def own_rows(request: Request) -> tuple[FeatureTable, Rows]:
    """The client's table, and its rows brought to the federation's scale."""
    sites = simulated(request.sites, ZslSites, "[zsl]")
    table, block = sites.held(request.client)
    labels = torch.from_numpy(table.labels)
    targets = (labels[:, None] == torch.tensor(block)).int().argmax(1)
    return table, Rows(torch.from_numpy(table.features) * sites.scale, labels, targets)


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


def _classifier(
    context: Context, rows: Rows, zsl: ZslSettings, seed: int, client: int
) -> nn.Linear:
    """The client's classifier of its own classes, pretrained on real rows once, then frozen."""
    kept = context.state.array_records.get(CLASSIFIER_KEY)
    classes = range(int(rows.targets.max()) + 1)
    if kept is None:
        draw = generator_of(CLASSIFIER, seed, client)
        made = fit_softmax(rows.features, rows.targets, classes, zsl, draw)
        context.state[CLASSIFIER_KEY] = ArrayRecord(made.state_dict())
        return made
    made = nn.Linear(rows.features.shape[1], len(classes))
    made.load_state_dict(kept.to_torch_state_dict())
    return made.requires_grad_(False)
