"""From one column of one batch to codes or numbers, with errors that name file, row and column.

Text, numbers and booleans become codes by way of Arrow's dictionaries: Python looks at every
distinct value of a batch once, never at a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.labels import MISSING_TEXTS
from evaluation.errors import InputError
from evaluation.rates import FloatArray

Codes = NDArray[np.int32]

WRONG_TYPE = "is of type {type}: expected text, numbers or booleans"
LEVELS = 10_000
"""Names that one column may have: more are identifiers, not groups."""
NOT_UTF8 = "is no UTF-8 text: save the file as UTF-8"
NO_NUMBER = "expected a number, got {value!r}"
UNKNOWN = "{name!r} is not among the classes: {classes}"
IDENTIFIER = (
    "has more than {limit} different values, too many to compare: leave the column out, or give "
    "cut points if it holds numbers"
)


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


@dataclass
class Levels:
    """Names of a column's values, numbered as they appear."""

    column: str  # for messages
    name: Callable[[Any], str | None]  # of a value, None where it is missing
    closed: tuple[str, ...] = ()  # the only names allowed; empty: any
    limit: int = LEVELS  # names that there may be
    crowded: str = IDENTIFIER  # what an error says of more
    codes: dict[str, int] = field(default_factory=dict)  # numbers of the names so far
    latest: set[int] = field(default_factory=set)  # those of the last rows that were encoded

    def __len__(self) -> int:
        return len(self.codes)

    def code(self, name: str) -> int:
        """The number of a name, a new one if it was not seen before."""
        return self.codes.setdefault(name, len(self.codes))

    def encode(self, array: Any, place: Place) -> Codes:
        """Codes of an Arrow array's rows, shape ``(n,)``; −1 where a value is missing."""
        indices, dictionary = dictionary_of(array, self.column, place)
        checked = [
            self._checked(value, indices, i, place) for i, value in enumerate(values_of(dictionary))
        ]
        self.latest = {code for code in checked if code >= 0}
        return np.array([*checked, -1], np.int32)[indices]

    def _checked(self, value: Any, indices: Codes, index: int, place: Place) -> int:
        try:
            name = self.name(value)
        except UnicodeDecodeError:
            raise place.error(_first(indices, index), self.column, NOT_UTF8) from None
        if name is None:
            return -1
        if self.closed and name not in self.closed:
            what = UNKNOWN.format(name=_short(name), classes=", ".join(self.closed))
            raise place.error(_first(indices, index), self.column, what)
        code = self.code(name)
        if len(self) > self.limit:
            raise place.column_error(self.column, self.crowded.format(limit=self.limit))
        return code


def numbers(
    array: Any, column: str, place: Place, missing: frozenset[str] = MISSING_TEXTS
) -> FloatArray:
    """An Arrow array as float64, shape ``(n,)``; NaN where nothing, NaN or an infinity stands.

    Text is read as numbers, with the texts `missing` (in lower case) and empty text as missing. A
    number of a narrower type, or a decimal, is what its text says, as in a CSV file: a float32 of
    0.7 is 0.7.
    """
    import pyarrow as pa

    plain = without_dictionary(array, column, place)
    try:
        floats = _as_floats(plain, missing)
    except pa.ArrowInvalid:
        row = _first_failing(plain, missing)
        raise place.error(row, column, _no_number(plain[row].as_py())) from None
    return np.where(np.isfinite(floats), floats, np.nan)


def texts(array: Any, rows: NDArray[np.bool_]) -> dict[str, int]:
    """Text of some rows that is not empty, and how often it occurs; nothing of other types."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if not is_text(array.type):
        return {}
    counted = pc.value_counts(array.filter(pa.array(rows)).cast(pa.large_binary())).to_pylist()
    found: dict[str, int] = {}
    for own in counted:
        text = (own["values"] or b"").decode("utf-8", "replace").strip()
        if text:
            found[text] = found.get(text, 0) + own["counts"]
    return found


def _as_floats(array: Any, missing: frozenset[str]) -> FloatArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    elif is_text(array.type):
        text = pc.utf8_trim_whitespace(array.cast(pa.large_string()))
        gone = pc.is_in(pc.utf8_lower(text), value_set=pa.array(missing | {""}, pa.large_string()))
        array = pc.if_else(gone, pa.scalar(None, pa.large_string()), text)
    elif pa.types.is_float32(array.type) or pa.types.is_decimal(array.type):
        # By way of text: cast as it is, a float32 of 0.7 is 0.699999988, a decimal may be one off.
        array = array.cast(pa.string())
    floats = array.cast(pa.float64(), safe=False)
    return np.asarray(floats.to_numpy(zero_copy_only=False), np.float64)


def _first_failing(array: Any, missing: frozenset[str]) -> int:
    """The first row that does not convert, by halving: the array as a whole does not."""
    import pyarrow as pa

    start, stop = 0, len(array)
    while stop - start > 1:
        middle = (start + stop) // 2
        try:
            _as_floats(array.slice(start, middle - start), missing)
            start = middle
        except pa.ArrowInvalid:
            stop = middle
    return start


def _no_number(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            return NOT_UTF8
    return NO_NUMBER.format(value=_short(str(value)))


def _first(indices: Codes, index: int) -> int:
    return int(np.argmax(indices == index))


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
