"""A model as named arrays: read from a message, checked, written into one; several put together."""

from __future__ import annotations

import math
from collections.abc import Mapping
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


def decode(record: ArrayRecord) -> Model:
    """Read the arrays of a record; `ValueError` names one that cannot be read."""
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


def validate_update(
    model: Mapping[str, NDArray[Any]], like: Mapping[str, NDArray[Any]]
) -> str | None:
    """Say why a client's model cannot be merged into the global one, ``like``, or ``None``."""
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


def add_prefixes(parts: Mapping[str, Mapping[str, NDArray[Any]]]) -> Model:
    """Put the arrays of several parts together, each under ``part/name``."""
    return {f"{part}/{n}": array for part, arrays in parts.items() for n, array in arrays.items()}


def strip_prefixes(arrays: Mapping[str, NDArray[Any]], *parts: str) -> tuple[Model, ...]:
    """The arrays of each part of :func:`add_prefixes` asked for, and last those of no such part."""
    found: dict[str, Model] = {part: {} for part in parts}
    others: Model = {}
    for key, array in arrays.items():
        part, _, name = key.partition("/")
        if part in found:
            found[part][name] = array
        else:
            others[key] = array
    return *found.values(), others
