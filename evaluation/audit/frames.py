"""Tables in memory as Arrow batches: pandas and polars frames, Arrow tables, arrays by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.audit.batches import check_columns, pieces
from evaluation.audit.columns import Place
from evaluation.audit.labels import group_text
from evaluation.errors import InputError

SOURCE = "table"
"""Name of a table in memory, in messages."""

NOT_COLUMN = "{source}, column {column!r}: expected one value per row, got {what}"
LENGTHS = "{source}: columns differ in length: {lengths}; give one value per row in each"


def frame_batches(frame: Any, columns: Sequence[str]) -> Iterator[tuple[Any, Place]]:
    """Yield the rows of a table in memory as record batches.

    Parameters
    ----------
    frame : DataFrame, pyarrow.Table, or mapping of str to array_like
        The table.
    columns : sequence of str
        Those that are needed.

    Raises
    ------
    InputError
        If a column is missing, has several dimensions, or columns differ in length.
    """
    import pyarrow as pa

    wanted = list(dict.fromkeys(columns))
    names = _names(frame)
    check_columns(SOURCE, [str(name) for name in names], wanted)
    keys = {str(name): name for name in names}
    arrays = {name: _array(frame[keys[name]], name) for name in wanted}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(LENGTHS.format(source=SOURCE, lengths=lengths))
    rows = 0
    for batch in pa.table(arrays).to_batches():
        for part in pieces(batch):
            yield part, Place(SOURCE, rows)
            rows += part.num_rows


def _names(frame: Any) -> Sequence[Any]:
    if isinstance(frame, Mapping):
        return list(frame)
    return list(getattr(frame, "column_names", None) or frame.columns)


def _array(values: Any, column: str) -> Any:
    import pyarrow as pa

    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise InputError(NOT_COLUMN.format(source=SOURCE, column=column, what=repr(values)))
    if not hasattr(values, "dtype"):
        values = np.asarray(values, _dtype(values))
    shape = getattr(values, "shape", (len(values),))
    if len(shape) != 1:
        what = f"an array of shape {tuple(shape)}"
        raise InputError(NOT_COLUMN.format(source=SOURCE, column=column, what=what))
    if str(values.dtype) == "object":
        return _mixed(values)
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(NOT_COLUMN.format(source=SOURCE, column=column, what=error)) from error


def _dtype(values: Any) -> Any:
    """None where numpy keeps the values as they are; it would make text of [1, "a"]."""
    plain = all(isinstance(value, bool | int | float | np.number | np.bool_) for value in values)
    return None if plain and len({isinstance(value, bool) for value in values}) < 2 else object


def _mixed(values: Any) -> Any:
    """Python objects as text in UTF-8, value by value: Arrow takes only those of one type."""
    import pyarrow as pa

    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        import pandas

        gone = pandas.isna(np.asarray(values, object))
        texts = [None if no else _bytes(value) for value, no in zip(values, gone, strict=True)]
        return pa.array(texts, pa.large_binary())


def _bytes(value: Any) -> bytes | None:
    if isinstance(value, bytes):
        return value
    text = group_text(value)
    # What is no text fails later, where its row is known.
    return None if text is None else text.encode("utf-8", "surrogatepass")
