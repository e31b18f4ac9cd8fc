"""The weighted mean of models: deterministic, in float64, dtypes kept.

Flower's ``aggregate_arrayrecords`` adds in order of arrival and turns integer buffers (BatchNorm's
``num_batches_tracked``) into float64, which ``load_state_dict`` then casts silently or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairfed.rounds.arrays import Model

NO_MODELS = "a weighted mean needs at least one model with a positive weight"

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""How PyTorch ends the names of normalisation statistics, which no optimiser may step on."""


def weighted_mean(models: Sequence[Mapping[str, NDArray[Any]]], weights: Sequence[float]) -> Model:
    """Average models of equal names, shapes and dtypes.

    Sums in the order given (callers give partition order), in float64. Floating-point arrays come
    back in their dtype; integer arrays as the mean rounded to the nearest integer (half to even)
    in theirs; booleans as the weighted majority. A model of weight 0 is not read at all.

    Parameters
    ----------
    models : sequence of mapping of str to ndarray
        One model per client.
    weights : sequence of float
        One weight per model, >= 0, summing to 1.

    Returns
    -------
    dict of str to ndarray
        The mean.

    Raises
    ------
    ValueError
        No model has a positive weight.
    """
    chosen = [(m, w) for m, w in zip(models, weights, strict=True) if w > 0]
    if not chosen:
        raise ValueError(NO_MODELS)
    return {name: _mean([(m[name], w) for m, w in chosen]) for name in chosen[0][0]}


def mean_of_sum(
    total: Mapping[str, NDArray[Any]], weight: float, like: Mapping[str, NDArray[Any]]
) -> Model:
    """The mean from a weighted sum and the sum of the weights, in the dtypes of `like`."""
    return {name: _in_dtype(total[name] / weight, value.dtype) for name, value in like.items()}


def is_parameter(name: str, value: NDArray[Any]) -> bool:
    """Say whether an array was trained by gradients: floating-point, and no running statistic."""
    return np.issubdtype(value.dtype, np.floating) and not name.endswith(STATISTICS)


def stepped(
    received: Mapping[str, NDArray[Any]], target: Mapping[str, NDArray[Any]], scale: float
) -> Model:
    """Go ``scale`` times the way from the received model to a target, in float64.

    Statistics and integer arrays are the target's: a step beyond it could make a variance negative.
    """
    moved: Model = dict(target)
    for name, value in received.items():
        if is_parameter(name, value):
            wide = value.astype(np.float64)
            moved[name] = (wide + scale * (target[name].astype(np.float64) - wide)).astype(
                value.dtype
            )
    return moved


def summed_updates(
    models: Sequence[Mapping[str, NDArray[Any]]],
    received: Mapping[str, NDArray[Any]],
    weights: Sequence[float],
) -> Model:
    """Add up what clients did to the parameters, each times its weight, in float64."""
    total: Model = {}
    for name, old in received.items():
        if is_parameter(name, old):
            total[name] = np.zeros(old.shape)
            for model, weight in zip(models, weights, strict=True):
                if weight > 0:
                    total[name] += weight * np.subtract(model[name], old, dtype=np.float64)
    return total


def _mean(terms: Sequence[tuple[NDArray[Any], float]]) -> NDArray[Any]:
    """Average one array over the clients."""
    dtype = terms[0][0].dtype
    wide = np.complex128 if np.issubdtype(dtype, np.complexfloating) else np.float64
    total = np.zeros(terms[0][0].shape, wide)
    for value, weight in terms:
        total = total + weight * value.astype(wide)
    return _in_dtype(total, dtype)


def _in_dtype(mean: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    rounded = mean if np.issubdtype(dtype, np.inexact) else np.rint(mean)
    return np.asarray(rounded).astype(dtype)
