"""f-CLSWGAN at one client, as Sun et al. (2022) condition it: networks, and how they are trained.

Wasserstein GAN with gradient penalty (Gulrajani et al., NeurIPS 2017) and the loss of a classifier
that was trained on the client's real features and is frozen (Xian et al., CVPR 2018).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairfed.config.zsl import ZslSettings
from fairfed.systems.zsl.table import FeatureTable
from fairfed.systems.zsl.variants import Variant

INITIAL, CRITIC, CLASSIFIER, TRAINING, JUDGING, TESTING = range(101, 107)
"""Purposes of random numbers: the first number of what `fairfed.draws.generator_of` is given."""
BETAS = (0.5, 0.999)
"""Adam's, everywhere in f-CLSWGAN."""
SLOPE = 0.2
"""Of the leaky rectifiers below 0."""
INITIAL_DEVIATION = 0.02
"""Standard deviation of initial weights, as in f-CLSWGAN; biases begin at 0."""


class FeatureGenerator(nn.Module):
    """Noise, attributes and, in some variants, CLIP text to a feature: one hidden layer.

    The noise has as many numbers as there are attributes, as in f-CLSWGAN. The last rectifier (the
    paper's) stays only where real features have one.
    """

    def __init__(self, table: FeatureTable, variant: Variant, zsl: ZslSettings) -> None:
        super().__init__()
        self.noise = attributes = table.attributes.shape[1]
        texts = table.texts.shape[1] if variant.text else 0
        last: nn.Module = nn.ReLU() if table.rectified else nn.Identity()
        self.layers = nn.Sequential(
            nn.Linear(attributes + attributes + texts, zsl.hidden),
            nn.LeakyReLU(SLOPE),
            nn.Linear(zsl.hidden, table.features.shape[1]),
            last,
        )

    def forward(self, condition: Tensor, generator: torch.Generator) -> Tensor:
        """Features of conditions ``[n, attributes + texts]``, ``[n, features]``."""
        noise = torch.randn(len(condition), self.noise, generator=generator)
        made: Tensor = self.layers(torch.cat([noise, condition], 1))
        return made


class Discriminator(nn.Module):
    """Feature and attributes to a score; it never sees CLIP's text."""

    def __init__(self, table: FeatureTable, zsl: ZslSettings) -> None:
        super().__init__()
        inputs = table.features.shape[1] + table.attributes.shape[1]
        self.layers = nn.Sequential(
            nn.Linear(inputs, zsl.hidden), nn.LeakyReLU(SLOPE), nn.Linear(zsl.hidden, 1)
        )

    def forward(self, features: Tensor, attributes: Tensor) -> Tensor:
        """Scores ``[n, 1]``."""
        scores: Tensor = self.layers(torch.cat([features, attributes], 1))
        return scores


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw weights anew, from this generator alone."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            else:
                parameter.normal_(0.0, INITIAL_DEVIATION, generator=generator)


class Conditions:
    """What conditions a generator of a variant, class by class.

    The deviation is that of the noise on CLIP's text, where the variant has noise.
    """

    def __init__(self, table: FeatureTable, variant: Variant, deviation: float) -> None:
        self.attributes = torch.from_numpy(table.attributes)
        self._texts = torch.from_numpy(table.texts) if variant.text else None
        self._deviation = deviation if variant.noise else 0.0

    def draw(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Conditions of samples of these classes, ``[n, A + T]``; noise is fresh for each."""
        parts = [self.attributes[labels]]
        if self._texts is not None:
            texts = self._texts[labels]
            if self._deviation:
                texts = texts + self._deviation * torch.randn(texts.shape, generator=generator)
            parts.append(texts)
        return torch.cat(parts, 1)


@dataclass(frozen=True, eq=False)
class Rows:
    """A client's features and labels."""

    features: Tensor  # ``[n, d]``
    labels: Tensor  # ``[n]`` positions in the federation's label space
    # ``[n]`` positions among the client's own classes, which its classifier tells apart
    targets: Tensor

    def draw(self, size: int, generator: torch.Generator) -> Tensor:
        """Numbers of rows drawn without replacement, at most as many as there are."""
        return torch.randperm(len(self.labels), generator=generator)[:size]


@dataclass(frozen=True, eq=False)
class Gan:
    """What is trained in a round, on a client's rows, and what judges it; Adam begins anew.

    The generator is another one in every round.
    """

    maker: FeatureGenerator
    critic: Discriminator
    classifier: nn.Linear
    rows: Rows
    conditions: Conditions
    zsl: ZslSettings
    draw: torch.Generator

    def train(self) -> tuple[float, float]:
        """Train both networks in place; their mean losses, the critic's first, with penalty.

        An epoch is as many generator steps as the rows have batches, each after `critic_steps` of
        the discriminator on batches of their own, as in f-CLSWGAN.
        """
        zsl, critic = self.zsl, self.critic
        optimisers = [
            torch.optim.Adam(network.parameters(), lr=zsl.lr, betas=BETAS)
            for network in (critic, self.maker)
        ]
        steps = zsl.local_epochs * math.ceil(len(self.rows.labels) / zsl.batch_size)
        totals = [0.0, 0.0]
        for _ in range(steps):
            for _ in range(zsl.critic_steps):
                totals[0] += _step(optimisers[0], self._critic_loss()) / zsl.critic_steps
            critic.requires_grad_(False)
            totals[1] += _step(optimisers[1], self._maker_loss())
            critic.requires_grad_(True)
        return totals[0] / steps, totals[1] / steps

    def _critic_loss(self) -> Tensor:
        chosen = self.rows.draw(self.zsl.batch_size, self.draw)
        real, labels = self.rows.features[chosen], self.rows.labels[chosen]
        attributes = self.conditions.attributes[labels]
        with torch.no_grad():
            made = self.maker(self.conditions.draw(labels, self.draw), self.draw)
        apart = self.critic(made, attributes).mean() - self.critic(real, attributes).mean()
        penalty = gradient_penalty(self.critic, real, made, attributes, self.draw)
        loss: Tensor = apart + self.zsl.penalty * penalty
        return loss

    def _maker_loss(self) -> Tensor:
        chosen = self.rows.draw(self.zsl.batch_size, self.draw)
        labels = self.rows.labels[chosen]
        made = self.maker(self.conditions.draw(labels, self.draw), self.draw)
        told = F.cross_entropy(self.classifier(made), self.rows.targets[chosen])
        score = self.critic(made, self.conditions.attributes[labels]).mean()
        loss: Tensor = self.zsl.classification * told - score
        return loss


def gradient_penalty(
    critic: Discriminator,
    real: Tensor,
    made: Tensor,
    attributes: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Mean squared distance from 1 of the critic's gradient length, between real and made rows."""
    share = torch.rand(len(real), 1, generator=generator)
    between = (share * real + (1 - share) * made).requires_grad_()
    score = critic(between, attributes).sum()
    (slope,) = torch.autograd.grad(score, between, create_graph=True)
    penalty: Tensor = ((slope.norm(2, dim=1) - 1) ** 2).mean()
    return penalty


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> float:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return loss.item()
