"""Training and testing a model on one client's images.

Everything is a function of its arguments: random numbers come from the generator that is passed in,
so that clients can train at the same time in threads and still repeat exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairfed.models.augmentation import mixup, randaugment
from fairfed.models.clip_adapted import AdaptedClip
from fairfed.models.clip_head import ClipHead
from fairfed.models.inputs import Inputs, in_memory

TEST_BATCH = 512
CPU = "cpu"
ADAM_BETA = 0.999
"""Adam's second beta, PyTorch's own."""


def train_epochs(
    model: nn.Module,
    images: Inputs,
    labels: Tensor,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    generator: torch.Generator,
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd",
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    accumulate: int = 1,
    clip: float | None = None,
    amp: bool = False,
    device: str = CPU,
    weights: Tensor | None = None,
    samples_per_epoch: int | None = None,
    loss_weights: Tensor | None = None,
    proximal: float = 0.0,
    anchor: nn.Module | None = None,
    augmentation: str = "none",
    correction: Sequence[Tensor] | None = None,
) -> float:
    """Train `model` in place on the cross-entropy.

    Parameters
    ----------
    model
        Gives logits; what the optimiser keeps starts at zero.
    images
        ``[n, H, W, 3]``, uint8 RGB, of which stored ones are read batch by batch; for a `ClipHead`
        also embeddings ``[n, dimension]``.
    labels
        ``[n]``, int64.
    epochs, batch_size, lr, optimizer, momentum, weight_decay
        As usual; Adam's first beta is `momentum`. The rows of an epoch are cut into batches of
        nearly equal size, at most `batch_size`: no batch is so small that BatchNorm has no
        statistics.
    generator
        Source of the order of the rows; it advances.
    accumulate, clip
        Batches of one step, and the longest gradient of a step (L2 norm; None: any).
    amp, device
        Autocast to bfloat16; torch's name of where to train. The model comes back to the CPU.
    weights, samples_per_epoch
        See `epoch_rows`.
    loss_weights
        ``[n]``, factors of the rows' losses; None: 1.
    proximal
        µ of FedProx (Li et al., MLSys 2020, arXiv 1812.06127): adds ``µ/2 |w - w_0|²`` to the loss,
        with the parameters ``w_0`` of `anchor`, or that training starts from.
    anchor
        A model with the same parameters, to pull towards instead of the start.
    augmentation
        `none`, `randaugment` (images only) or `mixup`; see `fairfed.models.augmentation`.
    correction
        For each parameter, what is added to its gradient in every step (SCAFFOLD).

    Returns
    -------
    Mean (weighted) cross-entropy over the rows of the last epoch, in training mode.

    Raises
    ------
    ValueError
        If there are no rows or the weights do not fit them.
    """
    inputs = prepared(model, images)
    with placed(model, device) as network:
        own = list(network.parameters())
        steps = optimiser_of(optimizer, own, lr, momentum, weight_decay)
        network.train()
        origin = (anchor or network).parameters() if proximal else ()
        start = [p.detach().to(device, copy=True) for p in origin]

        def loss_of(batch: Tensor) -> Tensor:
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=amp):
                return _batch_loss(
                    network, inputs, labels, loss_weights, batch, augmentation, generator, device
                )

        mean = math.nan
        for _ in range(epochs):
            rows = epoch_rows(len(labels), generator, weights, samples_per_epoch)
            total = 0.0
            batches = rows.tensor_split(math.ceil(len(rows) / batch_size))
            for first in range(0, len(batches), accumulate):
                steps.zero_grad(set_to_none=True)
                total += _add_gradients(loss_of, batches[first : first + accumulate])
                for parameter, extra in zip(own, correction or (), strict=False):
                    if parameter.grad is not None:
                        parameter.grad.add_(extra.to(device))
                if proximal:
                    pull(network, start, proximal)
                if clip is not None:
                    nn.utils.clip_grad_norm_(own, clip)
                steps.step()
            mean = total / len(rows)
        if network is not model:
            model.load_state_dict(network.state_dict())
    return mean


def _add_gradients(loss_of: Callable[[Tensor], Tensor], batches: Sequence[Tensor]) -> float:
    """Add the gradients of the mean loss over all rows of some batches; their summed losses."""
    n, total = sum(len(batch) for batch in batches), 0.0
    for batch in batches:
        loss = loss_of(batch)
        (loss * (len(batch) / n)).backward()
        total += loss.item() * len(batch)
    return total


@contextmanager
def placed(model: nn.Module, device: str) -> Iterator[nn.Module]:
    """The model on a device: itself on the CPU, a copy elsewhere.

    Models of clients that train at the same time may share frozen weights, which thus never move.
    """
    yield model if device == CPU else deepcopy(model).to(device)


def optimiser_of(
    kind: str, parameters: list[nn.Parameter], lr: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """An optimiser of a kind; Adam's first beta is the momentum."""
    if kind == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
    adam = torch.optim.AdamW if kind == "adamw" else torch.optim.Adam
    return adam(parameters, lr=lr, betas=(momentum, ADAM_BETA), weight_decay=weight_decay)


def _batch_loss(
    model: nn.Module,
    inputs: Inputs,
    labels: Tensor,
    weights: Tensor | None,
    batch: Tensor,
    augmentation: str,
    generator: torch.Generator,
    device: str,
) -> Tensor:
    """Loss of a batch of rows, augmented."""
    chosen = inputs[batch]
    if augmentation == "randaugment":
        chosen = randaugment(chosen, generator)
    images = as_float(chosen.to(device))
    if augmentation != "mixup":
        return _loss(model(images), labels[batch], weights, batch)
    partners, share = mixup(len(batch), generator)
    logits = model(share * images + (1 - share) * images[partners])
    other = batch[partners]
    own = _loss(logits, labels[batch], weights, batch)
    return share * own + (1 - share) * _loss(logits, labels[other], weights, other)


def _loss(logits: Tensor, labels: Tensor, weights: Tensor | None, rows: Tensor) -> Tensor:
    """Mean cross-entropy, each row's times its weight if there are weights."""
    labels = labels.to(logits.device)
    if weights is None:
        return F.cross_entropy(logits, labels)
    each = F.cross_entropy(logits, labels, reduction="none")
    return (each * weights[rows].to(each)).mean()


def pull(model: nn.Module, start: list[Tensor], proximal: float) -> None:
    """Add the proximal term's gradient, ``µ (w - w_0)``."""
    for parameter, former in zip(model.parameters(), start, strict=True):
        if parameter.grad is not None:
            parameter.grad.add_(parameter.detach() - former, alpha=proximal)


def epoch_rows(
    n_rows: int,
    generator: torch.Generator,
    weights: Tensor | None = None,
    samples_per_epoch: int | None = None,
) -> Tensor:
    """Draw the rows of one epoch, in order.

    With `weights`, rows are drawn by systematic sampling (Madow 1949): a row whose expected number
    of draws is ``e = samples · weight / Σ weights`` comes up ⌊e⌋ or ⌈e⌉ times, so that a class or
    a source gets its share in every epoch and not only in the mean. Equal weights and as many
    samples as rows are an ordinary epoch.

    Parameters
    ----------
    n_rows
        Number of rows.
    generator
        Source of randomness; it advances.
    weights
        ``[n_rows]``, not negative, not all zero; None: equal.
    samples_per_epoch
        Number of draws; None: `n_rows`.

    Returns
    -------
    ``[samples_per_epoch]`` row numbers.

    Raises
    ------
    ValueError
        If there are no rows, no draws, or the weights do not fit.
    """
    samples = n_rows if samples_per_epoch is None else samples_per_epoch
    if n_rows < 1 or samples < 1:
        raise ValueError(f"{n_rows} rows and {samples} samples an epoch; expected at least one")
    if weights is None:
        weights = torch.ones(n_rows)
    weights = weights.to(torch.float64)
    if weights.shape != (n_rows,):
        raise ValueError(f"weights have shape {tuple(weights.shape)}, expected ({n_rows},)")
    if not torch.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
        raise ValueError("weights must be finite, not negative, and not all zero")
    order = torch.randperm(n_rows, generator=generator)
    start = torch.rand((), generator=generator, dtype=torch.float64)
    expected = weights[order].cumsum(0)
    # The quotient is exactly 1 from the last row with a weight on; the sum may still round up.
    ends = torch.floor(expected / expected[-1] * samples + start).clamp_(max=samples)
    counts = ends.diff(prepend=ends.new_zeros(1)).to(torch.int64)
    rows = order.repeat_interleave(counts)
    return rows[torch.randperm(samples, generator=generator)]


def confusion_counts(
    model: nn.Module,
    images: Inputs,
    labels: Tensor,
    groups: Tensor,
    *,
    n_groups: int,
    n_classes: int,
    device: str = CPU,
) -> tuple[npt.NDArray[np.int64], float]:
    """Count a model's predictions by group, true class and predicted class.

    Parameters
    ----------
    model
        Gives logits; left in evaluation mode.
    images
        As for `train_epochs`; `n` may be 0.
    labels, groups
        ``[n]``, int64.
    n_groups, n_classes
        Size of the federation's groups and label space.
    device
        torch's name of where to compute.

    Returns
    -------
    ``[n_groups, n_classes, n_classes]`` counts, and the mean cross-entropy (0.0 without rows).
    A row whose logits are not finite counts as predicted by `argmax`, and makes the loss NaN.
    """
    counts = np.zeros((n_groups, n_classes, n_classes), np.int64)
    if not len(labels):
        return counts, 0.0
    model.eval()
    total = 0.0
    with torch.no_grad(), placed(model, device) as network:
        inputs = prepared(model, images)
        for batch in torch.arange(len(labels)).tensor_split(math.ceil(len(labels) / TEST_BATCH)):
            logits = network(as_float(inputs[batch].to(device))).cpu()
            total += F.cross_entropy(logits, labels[batch], reduction="sum").item()
            cells = (groups[batch].numpy(), labels[batch].numpy(), logits.argmax(1).numpy())
            np.add.at(counts, cells, 1)
    return counts, total / len(labels)


def class_probabilities(
    model: nn.Module, images: Inputs, n_classes: int, device: str = CPU
) -> npt.NDArray[np.float64]:
    """Probabilities of the classes, ``[n, n_classes]``; the row's prediction is their `argmax`.

    Parameters
    ----------
    model
        Gives logits; left in evaluation mode.
    images
        As for `train_epochs`; `n` may be 0.
    n_classes
        Size of the label space.
    device
        torch's name of where to compute.
    """
    found = np.zeros((len(images), n_classes))
    model.eval()
    with torch.no_grad(), placed(model, device) as network:
        inputs = prepared(model, images)
        for batch in torch.arange(len(images)).split(TEST_BATCH):
            logits = network(as_float(inputs[batch].to(device))).cpu()
            found[batch.numpy()] = logits.double().softmax(1).numpy()
    return found


def prepared(model: nn.Module, images: Inputs) -> Inputs:
    """What stays the same in every epoch: the embeddings of a frozen encoder, or the images."""
    if images.dtype == torch.uint8:
        if isinstance(model, ClipHead):
            return model.embed(in_memory(images))
        if isinstance(model, AdaptedClip) and not model.trains_tower:
            return model.embed(in_memory(images))
    return images


def as_float(batch: Tensor) -> Tensor:
    """Images ``[n, H, W, 3]`` uint8 as ``[n, 3, H, W]`` in 0 to 1; embeddings as they are."""
    return batch.permute(0, 3, 1, 2).float().div_(255) if batch.dtype == torch.uint8 else batch
