"""The arithmetic of batch-norm inversion: the loss, its descent, the auxiliary batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.classifier import Moments, Observer, distance
from semantic.errors import InputError

if TYPE_CHECKING:
    from generators.inversion import InversionSettings

Penalty = Callable[[int, list[Moments]], Tensor]
"""Distance to the stored statistics at a step, given what enters each layer; a number."""


@dataclass(frozen=True)
class AuxiliaryBatch:
    """Where the auxiliary batch's statistics were at every step, once a member had left.

    `rest` has, by step and layer, first and second moments ``[outputs, channels]``: row `c` sums
    the members less an average one of output `c`, divided by `size`, which counts the left one,
    too.
    """

    rest: list[list[tuple[Tensor, Tensor]]]
    size: int

    def penalty(self, labels: Tensor) -> Penalty:
        """Distance of the batch to the stored statistics with each image as its missing member.

        Times `size`: in the batch's own loss, too, the distance weighs that much beside the
        cross-entropy of one image.
        """

        def penalty(step: int, moments: list[Moments]) -> Tensor:
            total = torch.zeros((), device=labels.device)
            for layer, (first, second) in zip(moments, self.rest[step], strict=True):
                joined = (
                    first[labels] + layer.first / self.size,
                    second[labels] + layer.second / self.size,
                )
                total = total + distance(*joined, layer.variance).sum()
            return total * self.size

        return penalty


def record_auxiliary_batch(
    model: nn.Module, outputs: int, settings: InversionSettings, shown: int
) -> AuxiliaryBatch:
    """Invert the auxiliary batch, and keep its moments at every step.

    Its members are of the first `shown` outputs in turn.
    """
    size = settings.company
    labels = torch.arange(size, device=next(model.parameters()).device) % shown
    places = _places(labels, outputs)
    rest: list[list[tuple[Tensor, Tensor]]] = []

    def penalty(step: int, moments: list[Moments]) -> Tensor:
        rest.append([(places @ m.first.detach(), places @ m.second.detach()) for m in moments])
        apart = [distance(m.first.mean(0), m.second.mean(0), m.variance) for m in moments]
        return torch.stack(apart).sum() * size

    descend(model, list(range(size)), labels, penalty, settings)
    return AuxiliaryBatch(rest, size)


def _places(labels: Tensor, outputs: int) -> Tensor:
    """Weights of the auxiliary batch's members once an average one of an output has left.

    Where the batch has no member of an output, an average of all leaves. ``[outputs, members]``.
    """
    own = (torch.arange(outputs, device=labels.device)[:, None] == labels).float()
    own[own.sum(1) == 0] = 1.0
    return (1 - own / own.sum(1, keepdim=True)) / len(labels)


def descend(
    model: nn.Module,
    seeds: list[int],
    labels: Tensor,
    penalty: Penalty,
    settings: InversionSettings,
) -> Tensor:
    """Pixels after all steps of Adam on ``Σ CE + α · penalty + λ Σ TV``, in −1 to 1.

    The model is frozen, in evaluation mode. Each image starts from its seed's noise, N(0, 1), cut
    off at ±1, and shall reach the output in `labels`. ``[n, 3, size, size]``.
    """
    side, span = settings.image_size, settings.high - settings.low
    noise = [
        torch.randn(3, side, side, generator=torch.Generator().manual_seed(seed)) for seed in seeds
    ]
    with torch.enable_grad():
        pixels = torch.stack(noise).clamp(-1, 1).to(labels.device).requires_grad_()
        optimizer = torch.optim.Adam([pixels], lr=settings.lr)
        for step in range(settings.steps):
            optimizer.zero_grad(set_to_none=True)
            with Observer() as seen:
                logits = model(settings.low + (pixels + 1) / 2 * span)
            # Sums, not means: no image feels how many are beside it.
            loss = F.cross_entropy(logits, labels, reduction="sum")
            loss = loss + settings.statistics * penalty(step, seen.moments)
            loss = loss + settings.smoothness * total_variation(pixels).sum()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                pixels.clamp_(-1, 1)
    if not pixels.isfinite().all():
        raise InputError("batch-norm inversion diverged; check the classifier's weights")
    return pixels.detach()


def total_variation(images: Tensor) -> Tensor:
    """Mean absolute difference of vertical plus that of horizontal neighbours, ``[n]``."""
    down = (images[..., 1:, :] - images[..., :-1, :]).abs().mean((1, 2, 3))
    across = (images[..., 1:] - images[..., :-1]).abs().mean((1, 2, 3))
    return down + across
