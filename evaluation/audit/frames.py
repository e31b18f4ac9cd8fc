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
NOT_TABLE = "{source}: expected a DataFrame, a pyarrow.Table or arrays by name, got {what}"
LENGTHS = "{source}: columns differ in length: {lengths}; give one value per row in each"


def frame_batches(frame: Any, columns: Sequence[str]) -> Iterator[tuple[Any, Place]]:
    """Yield the rows of a table in memory as record batches, of the columns that are needed."""
    import pyarrow as pa

    wanted, frame = list(dict.fromkeys(columns)), collected(frame)
    names = column_names(frame)
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


def collected(table: Any) -> Any:
    """A lazy frame, as polars has them, with its rows; anything else as it is."""
    return table.collect() if hasattr(table, "collect") else table


def column_names(table: Any) -> list[Any]:
    """Names of the columns of a table in memory; refused if it is none."""
    if isinstance(table, Mapping):
        return list(table)
    structured = getattr(table, "dtype", None)
    # Of Arrow first, whose `columns` are arrays.
    for own, name in ((table, "column_names"), (table, "columns"), (structured, "names")):
        names = getattr(own, name, None)
        if names is not None:
            return list(names)
    raise InputError(NOT_TABLE.format(source=SOURCE, what=type(table).__name__))


def _array(values: Any, column: str) -> Any:
    import pyarrow as pa

    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise InputError(NOT_COLUMN.format(source=SOURCE, column=column, what=repr(values)))
    try:
        return _converted(values, column)
    except (pa.ArrowException, TypeError, ValueError, RuntimeError) as error:
        raise InputError(NOT_COLUMN.format(source=SOURCE, column=column, what=error)) from error


def _converted(values: Any, column: str) -> Any:
    """An Arrow array of whatever holds one value per row."""
    import pyarrow as pa

    if hasattr(values, "to_arrow"):
        return values.to_arrow()
    if hasattr(values, "detach"):  # a tensor of torch, maybe on a GPU
        values = np.asarray(values.detach().cpu())
    if not hasattr(values, "dtype") and not hasattr(values, "iloc"):
        values = np.asarray(values, _dtype(values))
    values = _one_column(values, column)
    if str(values.dtype) == "object":
        return _mixed(values)
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):
        return pa.array(np.asarray(values))
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    return _named(values) if isinstance(kind, pa.BaseExtensionType) else array


def _one_column(values: Any, column: str) -> Any:
    """The same of shape ``(n,)``: a single column is what scikit-learn takes for it, too."""
    shape = tuple(values.shape)
    if len(shape) == 2 and shape[1] == 1:
        return values.iloc[:, 0] if hasattr(values, "iloc") else values[:, 0]
    if len(shape) != 1:
        what = f"an array of shape {shape}"
        raise InputError(NOT_COLUMN.format(source=SOURCE, column=column, what=what))
    return values


def _named(values: Any) -> Any:
    """Intervals, periods and the like by their names, each of which is made once."""
    import pandas
    import pyarrow as pa

    found = pandas.Categorical(values)
    codes = pa.array(found.codes, mask=found.codes < 0)
    names = pa.array([str(value) for value in found.categories], pa.large_string())
    return pa.DictionaryArray.from_arrays(codes, names)


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
    # Which texts are missing is for the settings to say.
    text = group_text(value, frozenset())
    # What is no text fails later, where its row is known.
    return None if text is None else text.encode("utf-8", "surrogatepass")
