"""Arrow's arrays as columns of rows: which types can be read, and the values that occur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import InputError

Codes = NDArray[np.int32]

WRONG_TYPE = "is of type {type}: expected text, numbers or booleans"


@dataclass(frozen=True)
class Place:
    """Where a batch comes from: the name of the file or table, and the rows before it."""

    source: str
    first: int = 0

    def error(self, row: int, column: str, what: str) -> InputError:
        """An error about one value: `row` within the batch, counted from 0."""
        return InputError(f"{self.where(row, column)}: {what}")

    def where(self, row: int, column: str) -> str:
        """File, row and column of one value: `row` as `error` takes it."""
        return f"{self.source} row {self.first + row + 1}, column {column!r}"

    def column_error(self, column: str, what: str) -> InputError:
        """An error about a column."""
        return InputError(f"{self.source}, column {column!r}: {what}")


def without_dictionary(array: Any, column: str, place: Place) -> Any:
    """The array without a dictionary, of a type that can be read."""
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return _readable(array, column, place)


def dictionary_of(array: Any, column: str, place: Place) -> tuple[Codes, Any]:
    """Index of every row into an Arrow array of values that occur; its length where none stands."""
    import pyarrow as pa

    given = pa.types.is_dictionary(array.type)
    if not given:
        array = _readable(array, column, place).dictionary_encode()
    values = _readable(array.dictionary, column, place)
    indices = array.indices.cast(pa.int32())
    if indices.null_count:
        indices = indices.fill_null(len(values))
    codes = np.asarray(indices.to_numpy(zero_copy_only=False), np.int32)
    return _occurring(codes, values) if given else (codes, values)


def _occurring(indices: Codes, values: Any) -> tuple[Codes, Any]:
    """Leave out values of a dictionary that no row has."""
    used = np.flatnonzero(np.bincount(indices, minlength=len(values) + 1)[:-1])
    if len(used) == len(values):
        return indices, values
    places = np.full(len(values) + 1, len(used), np.int32)
    places[used] = np.arange(len(used))
    return places[indices], values.take(used)


def _readable(array: Any, column: str, place: Place) -> Any:
    """The array, maybe as a simpler type; what a file calls an extension is not guessed at."""
    import pyarrow as pa

    types, kind = pa.types, array.type
    if types.is_float16(kind):
        return _widened(array)
    if types.is_null(kind) or types.is_date(kind):
        return array.cast(pa.string())
    if types.is_timestamp(kind):
        return _moments(array)
    if types.is_fixed_size_binary(kind):
        return array.cast(pa.binary())
    scalar = types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind)
    if scalar or types.is_decimal(kind):
        return array
    if is_text(kind):
        view = types.is_string_view(kind) or types.is_binary_view(kind)
        return array.cast(pa.large_binary()) if view else array
    raise place.column_error(column, WRONG_TYPE.format(type=kind))


def _widened(array: Any) -> Any:
    """Float16 as the float64 of their shortest texts, which Arrow does not know."""
    import pyarrow as pa

    halves, places = np.unique(array.to_numpy(zero_copy_only=False), return_inverse=True)
    return pa.array(
        halves.astype(str).astype(np.float64)[places], mask=array.is_null().to_numpy(False)
    )


def _moments(array: Any) -> Any:
    """Points in time as text: no empty fractions, and a day alone where none has a time of day.

    Each value by itself, as everywhere.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.replace_substring_regex(array.cast(pa.string()), r"\.0+(Z|[+-][0-9]+)?$", r"\1")
    return pc.replace_substring_regex(text, " 00:00:00$", "")


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is one of text, or of bytes that may be text."""
    from pyarrow import types

    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    binary = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    return bool(text or binary)


def values_of(dictionary: Any) -> Any:
    """The values of a dictionary one by one, text as bytes."""
    import pyarrow as pa

    # As numpy's scalars, which know that a float32 of 0.1 is 0.1.
    if pa.types.is_floating(dictionary.type):
        return dictionary.to_numpy(zero_copy_only=False)
    # Text as bytes, so that decoding it, and its failure, are ours.
    plain = dictionary.cast(pa.large_binary()) if is_text(dictionary.type) else dictionary
    return plain.to_pylist()
