"""The weighted mean of models: deterministic, in float64, dtypes kept.

Flower's ``aggregate_arrayrecords`` adds in order of arrival and turns integer buffers (BatchNorm's
``num_batches_tracked``) into float64, which ``load_state_dict`` then casts silently or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.lib import format as npy
from numpy.typing import NDArray

Model = dict[str, NDArray[Any]]

UNREADABLE = "array '{name}' cannot be read: {error}"
NOT_NPY = "its bytes are no array in NumPy's format .npy, version 1 or 2"
OTHER_SIZE = "its header says {declared} bytes of values, {held} are there"
NON_FINITE = "array '{name}' has {count} values that are not finite"
OTHER_NAMES = "arrays differ from the global model's: missing {missing}, unexpected {extra}"
OTHER_KIND = "array '{name}' is {got}, the global model's is {expected}"
NO_MODELS = "a weighted mean needs at least one model with a positive weight"

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""How PyTorch ends the names of normalisation statistics, which no optimiser may step on."""


def decode(record: ArrayRecord) -> Model:
    """Read the arrays of a record.

    Raises
    ------
    ValueError
        An array that cannot be read; the message names it.
    """
    model: Model = {}
    for name, array in record.items():
        try:
            _check_size(array.data)
            model[name] = array.numpy()
        except Exception as error:  # whatever NumPy makes of a client's bytes
            raise ValueError(UNREADABLE.format(name=name, error=error)) from error
    return model


def _check_size(data: bytes) -> None:
    """Refuse bytes that are no .npy file, or whose header would have NumPy make another array.

    ``numpy.load`` would open an archive as well, and reserve whatever memory a header asks for.
    """
    stream = BytesIO(data)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    reader = readers.get(npy.read_magic(stream)) if data.startswith(npy.MAGIC_PREFIX) else None
    if reader is None:
        raise ValueError(NOT_NPY)
    shape, _, dtype = reader(stream)
    declared, held = math.prod(shape) * dtype.itemsize, len(data) - stream.tell()
    if declared != held:
        raise ValueError(OTHER_SIZE.format(declared=declared, held=held))


def encode(model: Mapping[str, NDArray[Any]]) -> ArrayRecord:
    """Write arrays into a record, in the order given."""
    return ArrayRecord({name: Array(np.asarray(value)) for name, value in model.items()})


def flaw(model: Mapping[str, NDArray[Any]], like: Mapping[str, NDArray[Any]]) -> str | None:
    """Say why a client's model cannot be merged, or ``None``.

    Parameters
    ----------
    model : mapping of str to ndarray
        What the client sent.
    like : mapping of str to ndarray
        The global model: names, shapes and dtypes to expect.
    """
    if model.keys() != like.keys():
        missing, extra = sorted(like.keys() - model.keys()), sorted(model.keys() - like.keys())
        return OTHER_NAMES.format(missing=missing, extra=extra)
    for name, value in model.items():
        expected = like[name]
        if value.shape != expected.shape or value.dtype != expected.dtype:
            return OTHER_KIND.format(
                name=name,
                got=f"{value.dtype}{list(value.shape)}",
                expected=f"{expected.dtype}{list(expected.shape)}",
            )
        if np.issubdtype(value.dtype, np.inexact):
            count = int(value.size - np.count_nonzero(np.isfinite(value)))
            if count:
                return NON_FINITE.format(name=name, count=count)
    return None


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


def joined(parts: Mapping[str, Mapping[str, NDArray[Any]]]) -> Model:
    """Put the arrays of several parts together, each under ``part/name``."""
    return {f"{part}/{n}": array for part, arrays in parts.items() for n, array in arrays.items()}


def parted(arrays: Mapping[str, NDArray[Any]], *parts: str) -> tuple[Model, ...]:
    """Take apart what :func:`joined` put together.

    Returns
    -------
    tuple of Model
        The arrays of each part asked for, under their own names; last, those of no such part, as
        they are.
    """
    found: dict[str, Model] = {part: {} for part in parts}
    others: Model = {}
    for key, array in arrays.items():
        part, _, name = key.partition("/")
        if part in found:
            found[part][name] = array
        else:
            others[key] = array
    return *found.values(), others


def _mean(terms: Sequence[tuple[NDArray[Any], float]]) -> NDArray[Any]:
    """Average one array over the clients."""
    dtype = terms[0][0].dtype
    wide = np.complex128 if np.issubdtype(dtype, np.complexfloating) else np.float64
    total = np.zeros(terms[0][0].shape, wide)
    for value, weight in terms:
        total = total + weight * value.astype(wide)
    if not np.issubdtype(dtype, np.inexact):
        total = np.rint(total)
    return np.asarray(total).astype(dtype)
