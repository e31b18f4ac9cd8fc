"""The table of an image folder as rows of texts: `metadata.csv`, `.jsonl` or `.parquet`."""

from __future__ import annotations

import codecs
import csv
import io
import json
from pathlib import Path
from typing import Any

from semantic.errors import InputError

METADATA = "metadata.csv"
NAMES = (METADATA, "metadata.jsonl", "metadata.parquet")
"""What the table may be called; `datasets` takes the same."""

Row = dict[str, str]

_MARKS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_RECODE = "save it in UTF-8 (if it is Latin-1: iconv -f LATIN1 -t UTF-8 OLD > NEW)"


def find_metadata(folder: Path) -> Path | None:
    """The table of a folder, or None; `InputError` if it has several."""
    found = [folder / name for name in NAMES if (folder / name).exists()]
    if len(found) > 1:
        raise InputError(
            f"{folder} has {' and '.join(path.name for path in found)}; keep the one that holds"
        )
    return found[0] if found else None


def read_metadata(path: Path) -> tuple[list[str], list[Row]]:
    """Columns and rows, every value as text, "" where there is none; errors name the row."""
    readers = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    return readers[path.suffix](path)


def _csv(path: Path) -> tuple[list[str], list[Row]]:
    reader = csv.DictReader(io.StringIO(_text(path, "CSV"), newline=""), strict=True)
    try:
        found = list(reader.fieldnames or ())
        rows = list(reader)
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    for mark, name in _MARKS.items():
        if len(found) == 1 and mark in found[0]:
            raise InputError(f"{path}: its columns are separated by {name}: save it with commas")
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise InputError(f"{path}: row {number} has not the {len(found)} fields of the heading")
    return found, rows


def _jsonl(path: Path) -> tuple[list[str], list[Row]]:
    lines = _text(path, "JSON lines").split("\n")
    try:
        rows = [json.loads(line) for line in lines if line.strip()]
    except ValueError as error:
        raise InputError(f"{path}: not a file of JSON lines ({error})") from error
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InputError(f"{path}: row {number} is no object with named fields")
    return _as_texts(rows)


def _parquet(path: Path) -> tuple[list[str], list[Row]]:
    import pyarrow
    from pyarrow import parquet

    try:
        return _as_texts(parquet.read_table(path).to_pylist())
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path}: not a readable parquet file ({error})") from error


def _as_texts(rows: list[dict[str, Any]]) -> tuple[list[str], list[Row]]:
    found = list(dict.fromkeys(name for row in rows for name in row))
    return found, [{name: as_text(row.get(name)) for name in found} for row in rows]


def as_text(value: object) -> str:
    """A value as a table of texts has it."""
    return "" if value is None else str(value)


def _text(path: Path, kind: str) -> str:
    """The text of a file in UTF-8, or in UTF-16 if it begins by saying so."""
    content = path.read_bytes()
    try:
        return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a {kind} file in UTF-8 ({error}); {_RECODE}") from error
