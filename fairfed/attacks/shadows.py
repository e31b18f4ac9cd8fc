"""Shadow models: what a model would be like with a row and without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evaluation.attacks import confidence
from fairfed.config import Arm
from fairfed.config.training import training_settings
from fairfed.models import class_probabilities, train_epochs
from fairfed.models.inputs import Inputs, together
from fairfed.models.private import train_privately
from fairfed.sites.study import Study
from fairfed.sites.training_set import TrainingSet
from fairfed.systems.classifier.experiment import start_model
from fairfed.systems.classifier.noised import planned


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows that an attacker asks about, members first, and what else was trained on."""

    inputs: Inputs  # as the arm's model takes them, ``[n, …]``
    labels: Tensor  # ``[n]``
    further: Inputs | None  # synthetic rows, of which all know
    further_labels: Tensor | None


def shadow_confidences(
    study: Study, arm: Arm, pool: Pool, shadows: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidences under shadow models, and which rows each was trained on: both ``[shadows, n]``.

    Each is trained in one place, on half of the rows and all synthetic ones, with the settings of
    the arm and as many epochs as the run had; under `train.dp` with noise for the same ε. Every row
    is in half of them.
    """
    n, draws = len(pool.labels), np.random.default_rng(seed)
    inside = np.zeros((shadows, n), bool)
    for first in range(0, shadows, 2):  # a shadow and its complement
        half = draws.permutation(n) < n // 2
        inside[first], inside[first + 1] = half, ~half
    found = [
        confidences(
            study, _trained(study, arm, pool, own, seed + i), pool.inputs, pool.labels.numpy()
        )
        for i, own in enumerate(inside)
    ]
    return np.stack(found), inside


def confidences(
    study: Study, model: nn.Module, inputs: Inputs, labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Confidences of rows under a model, ``[n]``."""
    classes = len(study.told.labels.classes)
    return confidence(class_probabilities(model, inputs, classes), labels)


def _trained(study: Study, arm: Arm, pool: Pool, own: NDArray[np.bool_], seed: int) -> nn.Module:
    rows = torch.from_numpy(np.flatnonzero(own))
    parts: list[Inputs] = [pool.inputs[rows]]
    labels = [pool.labels[rows]]
    if pool.further is not None and pool.further_labels is not None:
        parts.append(pool.further)
        labels.append(pool.further_labels)
    inputs, every = together(parts), torch.cat(labels)
    further = len(every) - len(rows)
    model, how = start_model(study, arm), training_settings(study.told, arm)
    dp = study.told.train.dp
    if dp is None:
        how["epochs"] *= study.told.rounds
        draws = torch.Generator().manual_seed(seed)
        train_epochs(model, inputs, every, generator=draws, **how)
        return model
    whole = TrainingSet(inputs, every, torch.zeros_like(every), None, len(rows), further)
    mechanism, rates, steps = planned(study.told, whole, how)
    some = {name: how[name] for name in ("lr", "optimizer", "momentum", "weight_decay", "proximal")}
    train_privately(
        model,
        inputs,
        every,
        rates=rates,
        steps=steps * study.told.rounds,
        noise=mechanism.noise,
        clip=dp.clip,
        **some,
    )
    return model
