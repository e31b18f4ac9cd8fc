"""What a peer does with its own data: profiles, task-level training, adaptation and measurement.

With BatchNorm, local steps run in training mode: batches are normalised by their own statistics,
and the running ones, which a test uses, move towards the peer's data with PyTorch's momentum (after
five steps, 41 % of the way). The updates of the levels average them (`fairfed.systems.peers.meta`).
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from flwr.app import Array, ArrayRecord
from torch import Tensor, nn

from fairfed.config import Arm
from fairfed.config.base import required
from fairfed.config.model import Agreement
from fairfed.config.peers import MetaName
from fairfed.config.training import training_settings
from fairfed.draws import generator_of
from fairfed.models import confusion_counts, train_epochs
from fairfed.models.inputs import in_memory
from fairfed.models.training import as_float
from fairfed.sites.site import Site
from fairfed.strategies.aggregate import is_parameter
from fairfed.systems.peers.profiles import Profile, profile
from fairfed.systems.peers.relay import Report
from semantic.prototypes import PrototypeSums

STEPS = (0, 1, 5)
"""Local steps after which a model is measured."""

_OWN = Arm(name="peers")
"""Names a peer's training set in the memory of its site."""
_TRAINING, _ADAPTING, _NOISE = 1, 2, 3


@dataclass(frozen=True)
class PeerSite:
    """A peer's data and what it does with it in a round; training is for a meta update."""

    site: Site
    kind: MetaName
    peer: int
    round: int

    def initial(self) -> ArrayRecord:
        """The model that everybody starts from."""
        return ArrayRecord(_model(self.site).state_dict())

    def profile(self) -> Profile:
        """What its data is like, exactly: for itself."""
        sums = _sums(self.site)
        return profile(sums.names, sums.counts, sums.sums, sums.names)

    def release(self) -> Profile:
        """The same from noised sums: for others. Every call spends the configured ε and δ."""
        peers, sums = required(self.site.study.peers), _sums(self.site)
        seed = (self.site.study.seed, self.peer, self.round, _NOISE)
        rng = np.random.default_rng(seed) if peers.seeded_noise else None
        noised = sums.release(peers.epsilon, peers.delta, peers.minimum, rng)
        return profile(noised.names, noised.counts, noised.sums, sums.names)

    def train(self, model: ArrayRecord) -> tuple[ArrayRecord, Report]:
        """Task-level training: the trained model, or the query gradient."""
        start = time.perf_counter()
        network = _model(self.site, model)
        own = self.site.training_set(_OWN)
        draw = generator_of(self.site.study.seed, self.peer, self.round, _TRAINING)
        if self.kind == "reptile":
            how = how_peers_train(self.site.study)
            loss = train_epochs(network, own.inputs, own.labels, **how, generator=draw)
            sent = ArrayRecord(network.state_dict())
        else:
            loss, sent = first_order(
                network, in_memory(own.inputs), own.labels, self.site.study, draw
            )
        said = len(self.site.said_rows(self.site.rows.train))
        return sent, {"loss": loss, "n-real": said, "seconds": time.perf_counter() - start}

    def measure(self, model: ArrayRecord) -> tuple[int, list[int]]:
        """Test rows, and how many are correct after 0, 1 and 5 local steps."""
        return adapted_correct(self.site, model, self.round)


def how_peers_train(study: Agreement) -> dict[str, Any]:
    """How a peer trains: `[train]`, with the rate of what of CLIP is trained."""
    return training_settings(study, _OWN)


def _model(site: Site, weights: ArrayRecord | None = None) -> nn.Module:
    model = site.place.model()
    if weights is not None:
        model.load_state_dict(weights.to_torch_state_dict())
    return model


def _sums(site: Site) -> PrototypeSums:
    return site.place.kept(("sums", site.name), site.class_sums)


def first_order(
    model: nn.Module, inputs: Tensor, labels: Tensor, config: Agreement, draw: torch.Generator
) -> tuple[float, ArrayRecord]:
    """First-order MAML at one task: many small meta steps on a copy of the model.

    Each adapts a copy on `inner_steps` support batches and steps the model along the gradient of a
    query batch at the adapted parameters. There are as many gradients in all as Reptile takes in
    its epochs. What is sent is the way from start to end over the learning rate: the sum of query
    gradients, as the optimiser's momentum weighed them; with it goes the mean query loss.
    """
    peers, train, lr = required(config.peers), config.train, how_peers_train(config)["lr"]
    size = min(train.batch_size, len(labels))
    gradients = train.epochs * math.ceil(len(labels) / train.batch_size)
    iterations = max(1, gradients // (peers.inner_steps + 1))
    start = {name: value.detach().clone() for name, value in model.state_dict().items()}
    optimiser = torch.optim.SGD(
        model.parameters(), lr=lr, momentum=train.momentum, weight_decay=train.weight_decay
    )
    total = 0.0
    for _ in range(iterations):
        *support, query = (
            torch.randperm(len(labels), generator=draw)[:size] for _ in range(peers.inner_steps + 1)
        )
        fast = copy.deepcopy(model)
        local_steps(fast, inputs, labels, support, peers.inner_lr)
        fast.zero_grad(set_to_none=True)
        loss = F.cross_entropy(fast(as_float(inputs[query])), labels[query])
        loss.backward()
        for parameter, adapted in zip(model.parameters(), fast.parameters(), strict=True):
            parameter.grad = adapted.grad
        for buffer, moved in zip(model.buffers(), fast.buffers(), strict=True):
            buffer.copy_(moved)
        optimiser.step()
        total += loss.item()
    return total / iterations, _way(start, model, lr)


def _way(start: dict[str, Tensor], model: nn.Module, lr: float) -> ArrayRecord:
    """Parameters: the way from start to end over the learning rate; the rest as it ended."""
    sent = {}
    for name, value in model.state_dict().items():
        end = value.detach().numpy()
        moved = is_parameter(name, end)
        sent[name] = Array((start[name].numpy() - end) / np.float32(lr) if moved else end)
    return ArrayRecord(sent)


def local_steps(
    model: nn.Module, inputs: Tensor, labels: Tensor, batches: list[Tensor], lr: float
) -> None:
    """Plain gradient steps on the cross-entropy of batches of rows, in training mode, in place."""
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    model.train()
    for rows in batches:
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(model(as_float(inputs[rows])), labels[rows]).backward()
        optimiser.step()


def adapted_correct(site: Site, weights: ArrayRecord, server_round: int) -> tuple[int, list[int]]:
    """Test rows of a site, and how many are correct after each of `STEPS` local steps.

    The batches depend on seed, client and round alone: every method adapts on the same ones.
    """
    peers, own = required(site.study.peers), site.training_set(_OWN)
    rows = site.said_rows(site.rows.test)
    test = site.inputs(rows)
    labels = torch.from_numpy(site.table.labels[rows])
    groups, classes = torch.zeros_like(labels), len(site.table.classes)
    draw = generator_of(site.study.seed, site.index, server_round, _ADAPTING)
    size = min(peers.adapt_batch, own.n_real)
    batches = [torch.randperm(own.n_real, generator=draw)[:size] for _ in range(max(STEPS))]
    model, correct, done = _model(site, weights), [], 0
    for steps in STEPS:
        local_steps(model, in_memory(own.inputs), own.labels, batches[done:steps], peers.adapt_lr)
        done = steps
        counts, _ = confusion_counts(model, test, labels, groups, n_groups=1, n_classes=classes)
        correct.append(int(counts[0].trace()))
    return len(rows), correct
