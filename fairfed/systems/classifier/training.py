"""A client's part of a round: measure the received model, train it, send it back."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Message
from numpy.typing import NDArray
from torch import Tensor, nn

from fairfed.config.training import masks, training_settings
from fairfed.draws import generator_of
from fairfed.models import confusion_counts, train_epochs
from fairfed.models.inputs import first
from fairfed.rounds.arrays import decode
from fairfed.sites.masked import KEYS, hold
from fairfed.sites.personal import keep_norms, keep_personal, recall_personal
from fairfed.sites.request import Request
from fairfed.sites.training_set import TrainingSet
from fairfed.strategies.local import fairbatch, loss_weights
from fairfed.systems.classifier.noised import train_noised
from fairfed.systems.classifier.scaffold import ClientVariate, gradient_weight, local_steps
from fairfed.systems.inversion.images import with_inverted


def train(request: Request) -> Message:
    """Measure the received model on the client's real rows, then train it; weights and counts."""
    started = time.perf_counter()
    arm = request.arm
    own = _training_set(request)
    model = request.received_model()
    if not arm.sends_model:
        model = recall_personal(request.context, arm, model)
    counts, received_loss = _measured(request, model, own)
    inverting: dict[str, int | float] = {}
    if arm.inversion == "client":
        number = request.round
        own, inverting = with_inverted(request.context, request.site, arm, number, model, own)
    how = _how(request, own, counts)
    if arm.personal is not None:
        _train_personal(request, model, own, how)
    variate = _variate(request, model)
    says, rows = request.site.says, request.site.rows.train
    said: dict[str, Any] = {
        "loss": _trained(request, model, own, how, variate, received_loss),
        "n-real": len(request.site.said_rows(rows)),
        "n-synthetic": own.n_synthetic,
        "counts": (counts * says(rows).T[:, :, np.newaxis]).ravel().tolist(),
        "seconds": time.perf_counter() - started,
        **inverting,
    }
    if request.sent.get("ask-loss"):
        said["received-loss"] = received_loss
    if "extra-cells" in request.sent:
        said["generated"], said["reused"] = own.spent
    sent: dict[str, ArrayRecord | ConfigRecord] = {"arrays": ArrayRecord()}
    if arm.sends_model:
        state = model.state_dict()
        if request.study.train.batch_norm == "local":
            state = keep_norms(request.context, arm, model, request.weights)
        trained = ArrayRecord(state)
        masked = masks(request.study, arm)
        sent = {KEYS: hold(request, decode(trained))} if masked else {"arrays": trained}
    if arm.own_models and not arm.sends_model:
        keep_personal(request.context, arm, model)
    if variate is not None:
        sent["control"] = variate.finish(_gradient_weight(request, own.size))
    return request.reply(said, **sent)


def _training_set(request: Request) -> TrainingSet:
    """What the client trains on, with what the closed loop has planned for it."""
    extra, new = request.extra, request.new
    if extra is None or new is None:
        return request.site.training_set(request.arm)
    return request.site.extended_set(request.arm, extra, new)


def _measured(
    request: Request, model: nn.Module, own: TrainingSet
) -> tuple[NDArray[np.int64], float]:
    """Confusion counts ``[G, C, C]`` of the received model on the client's real rows; its loss."""
    groups, classes = request.study.labels.shape
    rows = request.site.rows
    return confusion_counts(
        model,
        first(own.inputs, own.n_real),
        own.labels[: own.n_real],
        torch.from_numpy(rows.table.groups[rows.train]),
        n_groups=groups,
        n_classes=classes,
        device=request.site.device,
    )


def _how(request: Request, own: TrainingSet, counts: NDArray[np.int64]) -> dict[str, Any]:
    """How every training of the round goes: settings of `fairfed.models.train_epochs`."""
    return {
        **training_settings(request.study, request.arm, request.round),
        "device": request.site.device,
        "weights": own.weights,
        "samples_per_epoch": own.size,
        "loss_weights": _loss_weights(request, own, counts),
    }


def _trained(
    request: Request,
    model: nn.Module,
    own: TrainingSet,
    how: dict[str, Any],
    variate: ClientVariate | None,
    received_loss: float,
) -> float:
    """Train the model; its mean loss, or that of the received one where nothing is trained."""
    if not own.size or request.arm.system == "zero-shot":
        return received_loss
    if request.study.train.dp is not None:
        train_noised(request, model, own, how)
        return math.nan  # what it was says something of the rows
    return train_epochs(
        model,
        own.inputs,
        own.labels,
        **how,
        generator=generator_of(request.study.seed, request.client, request.round),
        correction=None if variate is None else variate.correction,
    )


def _train_personal(
    request: Request, received: nn.Module, own: TrainingSet, how: dict[str, Any]
) -> None:
    """Ditto's training beside the federated one: of the client's own model, pulled to `received`.

    It has random numbers of its own; `received` is not changed.
    """
    context, arm = request.context, request.arm
    model = recall_personal(context, arm, request.received_model())
    ditto = {
        "proximal": arm.personal or 0.0,
        "anchor": received,
        "generator": generator_of(request.study.seed, request.client, request.round, 1),
    }
    train_epochs(model, own.inputs, own.labels, **{**how, **ditto})
    keep_personal(context, arm, model)


def _loss_weights(request: Request, own: TrainingSet, counts: NDArray[np.int64]) -> Tensor | None:
    """Weights of the training rows in the loss: local debiasing, and what the server asked for."""
    train = request.study.train
    debias = request.arm.debias or train.debias
    cells = request.cells("cell-weights")
    if debias == "fairbatch":
        moved = _fairbatch(request, counts)
        cells = moved if cells is None else cells * moved
    weights = loss_weights(
        own.groups.numpy(),
        own.labels.numpy(),
        request.study.labels.shape,
        reweigh=debias == "reweighing",
        cell_weights=cells,
        cell_target=request.cells("cell-target"),
        sampling=None if own.weights is None else own.weights.numpy(),
    )
    return None if weights is None else torch.from_numpy(weights)


def _fairbatch(request: Request, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Move the shares that the client keeps, and return the weights of its cells."""
    key = f"fairbatch-{request.arm.slug}"
    kept = request.context.state.array_records.get(key)
    shares = None if kept is None else kept["shares"].numpy()
    shares, weights = fairbatch(counts, shares, request.study.train.fairbatch_alpha)
    request.context.state[key] = ArrayRecord({"shares": Array(shares)})
    return weights


def _variate(request: Request, model: nn.Module) -> ClientVariate | None:
    """SCAFFOLD's part of a training, where the server sent its variate."""
    if not request.arm.control_variates:
        return None
    sent = request.message.content.array_records["control"]
    return ClientVariate(request.context, request.arm.slug, sent, model)


def _gradient_weight(request: Request, rows: int) -> float:
    how = training_settings(request.study, request.arm, request.round)
    steps = local_steps(rows, how["batch_size"], how["epochs"])
    return gradient_weight(steps, how["lr"], how["momentum"])
