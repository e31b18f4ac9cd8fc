"""Meta updates of two levels, as pure functions of models.

A level is given what its tasks (or clusters) sent, and where they started. Tasks count equally,
whatever their size: a task is the unit of meta-learning.

Normalisation statistics (BatchNorm's running mean and variance) and integer arrays have no
gradient. What is sent holds them as they were after training; a level takes their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fairfed.rounds.arrays import Model
from fairfed.strategies.aggregate import is_parameter, stepped, weighted_mean

if TYPE_CHECKING:
    from fairfed.config.peers import MetaName


def mean(sent: Sequence[Model]) -> Model:
    """The unweighted mean of models or gradients, summed in the order given.

    Raises
    ------
    ValueError
        If there is none.
    """
    return weighted_mean(sent, [1 / len(sent)] * len(sent) if sent else [])


def reptile(start: Model, models: Sequence[Model], step: float) -> Model:
    """Reptile's outer update, ``start + step · (mean - start)`` (Nichol et al. 2018, batched).

    Parameters
    ----------
    start
        Where all of them started.
    models
        Where their training ended.
    step
        Above 0; 1 gives the mean.
    """
    return stepped(start, mean(models), step)


def fomaml(start: Model, gradients: Sequence[Model], step: float) -> Model:
    """First-order MAML's outer update, ``start - step · mean gradient`` (Finn et al. 2017).

    Parameters
    ----------
    start
        Where all of them started.
    gradients
        Gradients of the query loss at the adapted parameters, under the names of `start`;
        statistics and integer arrays are no gradients, and are averaged.
    step
        Above 0, learning rate included.
    """
    merged = mean(gradients)
    for name, value in start.items():
        if is_parameter(name, value):
            wide = value.astype(np.float64) - step * merged[name].astype(np.float64)
            merged[name] = wide.astype(value.dtype)
    return merged


def merge(kind: MetaName, start: Model, sent: Sequence[Model], step: float, lr: float) -> Model:
    """The model that a level makes of what was sent; `lr` is that of the gradients."""
    if kind == "reptile":
        return reptile(start, sent, step)
    return fomaml(start, sent, step * lr)


def passed_up(kind: MetaName, merged: Model, sent: Sequence[Model]) -> Model:
    """What a level sends to the next one: its model, or the mean of the gradients it was sent."""
    return merged if kind == "reptile" else mean(sent)
