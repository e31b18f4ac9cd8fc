"""Files as streams of Arrow batches: only the columns that are needed, a bounded part at a time.

Arrow decodes ahead on its own threads while the rows before are counted. CSV columns are read as
bytes: Arrow would guess their type from the first block, and what follows may not fit.
"""

from __future__ import annotations

import csv
import difflib
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evaluation.audit.columns import Place
from evaluation.audit.files import DataFile, open_content
from evaluation.errors import InputError

Progress = Callable[[Path, int], None]
"""Called after each batch with the file and the rows read so far."""

ROWS = 2**20
"""Rows of a batch at most: sums over one are exact in float64 (`evaluation.audit.gather`)."""
AHEAD = 2
"""Batches that Arrow decodes ahead."""
BLOCK = 2**22
"""Bytes of a CSV file that are parsed at once."""
HEADER = 2**16
"""Bytes that a header is looked for in."""

UNREADABLE = "{path}: cannot be read as {kind}: {error}"
NO_COLUMN = "{source}: has no column {column!r}{near}; its columns are: {columns}"
NEAR = " (did you mean {name!r}?)"
NOT_UTF8_HEADER = "{path}: its column names are no UTF-8 text: save the file as UTF-8"


def batches(
    files: Sequence[DataFile], columns: Sequence[str], progress: Progress | None = None
) -> Iterator[tuple[Any, Place]]:
    """Yield the rows of files in order, as record batches of at most `ROWS` rows.

    A file that lacks a column, or is damaged, ragged or not of its kind, is an `InputError`.
    """
    rows = 0
    for file in files:
        start = rows
        for batch in _readable(file, list(dict.fromkeys(columns))):
            for part in pieces(batch):
                yield part, Place(str(file.path), rows - start)
                rows += part.num_rows
                if progress is not None:
                    progress(file.path, rows)


def pieces(batch: Any) -> Iterator[Any]:
    """Slice a record batch into parts of at most `ROWS` rows."""
    for start in range(0, batch.num_rows, ROWS):
        yield batch.slice(start, ROWS)


def check_columns(source: str, present: Sequence[str], needed: Sequence[str]) -> None:
    """Refuse a table that lacks a column, and name the nearest that it has."""
    for column in needed:
        if column not in present:
            folded = {name.casefold(): name for name in present}
            close = difflib.get_close_matches(column.casefold(), folded, 1)
            near = NEAR.format(name=folded[close[0]]) if close else ""
            shown = ", ".join(present) or "none"
            what = NO_COLUMN.format(source=source, column=column, near=near, columns=shown)
            raise InputError(what)
        if list(present).count(column) > 1:
            raise InputError(f"{source}: has several columns {column!r}; rename all but one")


def _readable(file: DataFile, columns: list[str]) -> Iterator[Any]:
    """The batches of one file."""
    with _errors(file):
        fragment = _opened(file, columns)
        schema = fragment.physical_schema
        check_columns(str(file.path), schema.names, columns)
        if file.kind == "parquet":
            kinds = {name: str(schema.field(name).type) for name in columns}
            text = [name for name, kind in kinds.items() if kind in ("string", "binary")]
            fragment = _opened(file, columns, text)
        yield from fragment.to_batches(
            columns=columns, batch_size=ROWS, batch_readahead=AHEAD, fragment_readahead=1
        )


@contextmanager
def _errors(file: DataFile) -> Iterator[None]:
    """What Arrow raises becomes an error for the user."""
    import pyarrow as pa

    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(NOT_UTF8_HEADER.format(path=file.path)) from error
    except InputError:
        raise
    # Arrow's errors derive from these; ValueError and KeyError are its ArrowInvalid, ArrowKeyError.
    except (pa.ArrowException, OSError, ValueError, KeyError, EOFError, zlib.error) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = what.split("Invalid: ")[-1]
        raise InputError(
            UNREADABLE.format(path=file.path, kind=file.kind, error=what[:300])
        ) from error


def column_names(file: DataFile, wanted: Sequence[str] = ()) -> list[str]:
    """Names of a file's columns; `wanted` help to tell what parts those of a CSV file."""
    with _errors(file):
        return list(_opened(file, wanted).physical_schema.names)


def _opened(file: DataFile, columns: Sequence[str], text: Sequence[str] = ()) -> Any:
    from pyarrow.fs import LocalFileSystem

    if file.path.stat().st_size == 0:
        raise InputError(f"{file.path}: is empty; it lacks even the names of columns")
    kind = _format(file, columns, text)
    return kind.make_fragment(str(file.path), filesystem=LocalFileSystem())


def _format(file: DataFile, columns: Sequence[str], text: Sequence[str]) -> Any:
    """How to read a file; `text` are columns whose parquet dictionaries are taken as they are."""
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.dataset as ds

    if file.kind == "arrow":
        return ds.IpcFileFormat()
    if file.kind == "parquet":
        return ds.ParquetFileFormat(dictionary_columns=set(text))
    return ds.CsvFileFormat(
        parse_options=pc.ParseOptions(
            delimiter=_delimiter(file.path, columns), newlines_in_values=True
        ),
        read_options=pc.ReadOptions(block_size=BLOCK),
        convert_options=pc.ConvertOptions(column_types=dict.fromkeys(columns, pa.binary())),
    )


def _delimiter(path: Path, columns: Sequence[str]) -> str:
    """Comma, semicolon, tab or bar: what parts the header into most of the needed columns.

    Of equal ones, into most columns: names may hold any of the others in quotes.
    """
    with open_content(path) as file:
        # What is no UTF-8 may be a value, of which the reader says the row.
        start = file.read(HEADER).decode("utf-8-sig", "surrogateescape")
    headers = {mark: _header(start, mark) for mark in (",", ";", "\t", "|")}

    def found(mark: str) -> tuple[int, int]:
        return len(set(columns) & set(headers[mark])), len(headers[mark])

    return max(headers, key=found)


def _header(start: str, mark: str) -> list[str]:
    """The names of the columns if `mark` parts them."""
    lines = io.StringIO(start, newline=None)  # any kind of line ends
    names = next(csv.reader(lines, delimiter=mark), [])
    return [name.encode("utf-8", "surrogateescape").decode("utf-8") for name in names]
