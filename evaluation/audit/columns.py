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

from evaluation.audit.arrow import (
    Codes,
    Place,
    dictionary_of,
    is_text,
    values_of,
    without_dictionary,
)
from evaluation.audit.labels import MISSING_TEXTS

Floats = NDArray[np.float64]

LEVELS = 10_000
"""Names that one column may have: more are identifiers, not groups."""

NOT_UTF8 = "is no UTF-8 text: save the file as UTF-8"
NO_NUMBER = "expected a number, got {value!r}"
UNKNOWN = "{name!r} is not among the classes: {classes}"
IDENTIFIER = (
    "has more than {limit} different values, too many to compare: leave the column out, or give "
    "cut points if it holds numbers"
)


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
) -> Floats:
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


def _as_floats(array: Any, missing: frozenset[str]) -> Floats:
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
