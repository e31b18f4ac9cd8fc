"""Training under differential privacy: DP-SGD (Abadi et al., CCS 2016, arXiv 1607.00133) by Opacus.

Every step draws each row by itself (Poisson sampling), shortens the gradient of each row to a norm,
and adds Gaussian noise. What comes out says little of any single row, whoever looks at it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairfed.models.inputs import Inputs
from fairfed.models.training import as_float, optimiser_of, placed, prepared, pull

CHUNK = 128
"""Rows whose gradients are in memory at once."""


def unfit(model: nn.Module) -> str | None:
    """Why a model cannot be trained so: a layer that mixes rows, or of which Opacus knows none."""
    from opacus.validators import ModuleValidator

    errors = ModuleValidator.validate(model, strict=False)
    return str(errors[0]) if errors else None


def sampling_rates(n: int, batch_size: int, weights: Tensor | None) -> Tensor:
    """How likely each of `n` rows is in a step, ``[n]``: `batch_size` rows on average."""
    share = torch.full((n,), 1 / n, dtype=torch.float64)
    if weights is not None:
        share = weights.double() / weights.double().sum()
    return (batch_size * share).clamp(max=1.0)


def train_privately(
    model: nn.Module,
    images: Inputs,
    labels: Tensor,
    *,
    rates: Tensor,
    steps: int,
    noise: float,
    clip: float,
    lr: float,
    optimizer: str = "sgd",
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    loss_weights: Tensor | None = None,
    proximal: float = 0.0,
    device: str = "cpu",
    augment: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Train `model` in place.

    Parameters
    ----------
    model
        Gives logits; every layer must be one that treats rows apart (see `unfit`).
    images, labels, loss_weights, lr, optimizer, momentum, weight_decay, proximal, device
        As for `fairfed.models.train_epochs`.
    rates
        ``[n]``, how likely a row is in a step (`sampling_rates`).
    steps
        How many.
    noise
        Standard deviation of the noise on the sum of gradients, in units of `clip`.
    clip
        Longest gradient of a row (L2 norm).
    augment
        What is done to a batch of images before the model sees it.

    Notes
    -----
    Rows and noise are drawn from generators that the operating system seeds, so that two trainings
    differ. The noise is put together of several draws, against attacks on floating-point rounding
    (Opacus's secure mode).
    """
    from opacus.grad_sample import GradSampleModule
    from opacus.optimizers import DPOptimizer

    inputs = prepared(model, images)
    own = torch.Generator().manual_seed(secrets.randbits(63))
    noisy = torch.Generator(device).manual_seed(secrets.randbits(63))
    with placed(model, device) as network:
        network.train()
        start = [p.detach().clone() for p in network.parameters()] if proximal else []
        wrapped = GradSampleModule(network, loss_reduction="sum")
        parameters = [p for p in network.parameters() if p.requires_grad]
        steps_of = DPOptimizer(
            optimiser_of(optimizer, parameters, lr, momentum, weight_decay),
            noise_multiplier=noise,
            max_grad_norm=clip,
            expected_batch_size=max(1, round(float(rates.sum()))),
            generator=noisy,
            secure_mode=True,
        )
        try:
            for _ in range(steps):
                drawn = torch.nonzero(
                    torch.rand(len(rates), generator=own, dtype=torch.float64) < rates
                ).flatten()
                _gradients(wrapped, steps_of, inputs, labels, loss_weights, drawn, device, augment)
                if proximal:
                    pull(network, start, proximal)
                steps_of.original_optimizer.step()
                steps_of.zero_grad(set_to_none=True)
        finally:
            wrapped.to_standard_module()
        if network is not model:
            model.load_state_dict(network.state_dict())


def _gradients(
    network: nn.Module,
    steps: Any,
    inputs: Inputs,
    labels: Tensor,
    weights: Tensor | None,
    drawn: Tensor,
    device: str,
    augment: Callable[[Tensor], Tensor] | None,
) -> None:
    """Set the noised gradient of a step, from chunks of the rows that were drawn."""
    chunks = drawn.split(CHUNK) if len(drawn) else (drawn,)
    for place, rows in enumerate(chunks):
        steps.signal_skip_step(do_skip=place + 1 < len(chunks))
        if len(rows):
            chosen = inputs[rows] if augment is None else augment(inputs[rows])
            # Opacus's hooks want inputs that have gradients themselves.
            batch = as_float(chosen.to(device)).requires_grad_()
            losses = F.cross_entropy(network(batch), labels[rows].to(device), reduction="none")
            if weights is not None:
                losses = losses * weights[rows].to(losses)
            losses.sum().backward()
        else:  # a step that drew nobody is noise alone, as any other
            for parameter in steps.params:
                parameter.grad_sample = parameter.new_zeros(0, *parameter.shape)
        steps.pre_step()
        if place + 1 < len(chunks):
            steps.zero_grad(set_to_none=True)
