"""f-CLSWGAN at one client: critic steps, gradient penalty, generator steps.

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
from fairfed.systems.zsl.networks import BETAS, Conditions, Discriminator, FeatureGenerator


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


def train_gan(
    maker: FeatureGenerator,
    critic: Discriminator,
    classifier: nn.Linear,
    rows: Rows,
    conditions: Conditions,
    zsl: ZslSettings,
    generator: torch.Generator,
) -> tuple[float, float]:
    """Train generator and discriminator in place for a round.

    An epoch is as many generator steps as the rows have batches, each after `critic_steps` of the
    discriminator on batches of their own, as in f-CLSWGAN. Adam begins anew: the generator is
    another one in every round. Returns both mean losses, the discriminator's first, with penalty.
    """
    optimisers = [
        torch.optim.Adam(network.parameters(), lr=zsl.lr, betas=BETAS)
        for network in (critic, maker)
    ]
    steps = zsl.local_epochs * math.ceil(len(rows.labels) / zsl.batch_size)
    totals = [0.0, 0.0]
    for _ in range(steps):
        for _ in range(zsl.critic_steps):
            loss = _critic_loss(maker, critic, rows, conditions, zsl, generator)
            totals[0] += _step(optimisers[0], loss) / zsl.critic_steps
        critic.requires_grad_(False)
        loss = _maker_loss(maker, critic, classifier, rows, conditions, zsl, generator)
        totals[1] += _step(optimisers[1], loss)
        critic.requires_grad_(True)
    return totals[0] / steps, totals[1] / steps


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> float:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return loss.item()


def _critic_loss(
    maker: FeatureGenerator,
    critic: Discriminator,
    rows: Rows,
    conditions: Conditions,
    zsl: ZslSettings,
    generator: torch.Generator,
) -> Tensor:
    chosen = rows.draw(zsl.batch_size, generator)
    real, labels = rows.features[chosen], rows.labels[chosen]
    attributes = conditions.attributes[labels]
    with torch.no_grad():
        made = maker(conditions.draw(labels, generator), generator)
    apart = critic(made, attributes).mean() - critic(real, attributes).mean()
    penalty = gradient_penalty(critic, real, made, attributes, generator)
    loss: Tensor = apart + zsl.penalty * penalty
    return loss


def _maker_loss(
    maker: FeatureGenerator,
    critic: Discriminator,
    classifier: nn.Linear,
    rows: Rows,
    conditions: Conditions,
    zsl: ZslSettings,
    generator: torch.Generator,
) -> Tensor:
    chosen = rows.draw(zsl.batch_size, generator)
    labels = rows.labels[chosen]
    made = maker(conditions.draw(labels, generator), generator)
    told = F.cross_entropy(classifier(made), rows.targets[chosen])
    score = critic(made, conditions.attributes[labels]).mean()
    loss: Tensor = zsl.classification * told - score
    return loss
