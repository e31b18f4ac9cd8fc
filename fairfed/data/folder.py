"""A user's image folder, in the `imagefolder` convention of Hugging Face datasets.

``metadata.csv`` has a column ``file_name`` (relative to the file itself), the label, any number of
sensitive columns, and optionally a client and a split column. Instead of a split column the folder
may hold two such folders, ``train`` and ``test``.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairfed.data.columns import build_table, read_split, require_columns
from fairfed.data.pixels import read_image
from fairfed.data.table import ImageTable
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.config import DataConfig

METADATA = "metadata.csv"


def load_folder(directory: Path, data: DataConfig, seed: int) -> ImageTable:
    """Load an image folder.

    Raises
    ------
    semantic.errors.InputError
        If the folder, a column, a file or an image is missing or damaged; it names the row.
    """
    rows = read_rows(directory, data)
    where = str(directory / METADATA)
    images = np.stack([read_image(Path(row["file_name"]), data.image_size) for row in rows])
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    test = None
    if data.split in columns:
        test = read_split(columns[data.split], data.split, where)
    return build_table(images, columns, test, data, seed, where)


def read_rows(directory: Path, data: DataConfig) -> list[dict[str, str]]:
    """Rows of an image folder, in the order of its table, `file_name` made a path that exists.

    Raises
    ------
    semantic.errors.InputError
        See `load_folder`.
    """
    if not directory.is_dir():
        raise InputError(
            f"data.source: no directory {str(directory)!r}; expected 'bundled', 'fashion-mnist', "
            "'hf:NAME' or an image folder with a metadata.csv"
        )
    parts = [directory / part for part in ("train", "test")]
    if not (directory / METADATA).exists() and all((part / METADATA).exists() for part in parts):
        tables = {part / METADATA: _read(part / METADATA, data) for part in parts}
        _check_once(tables)
        return [
            {**row, data.split: path.parent.name} for path, own in tables.items() for row in own
        ]
    rows = _read(directory / METADATA, data)
    _check_once({directory / METADATA: rows})
    return rows


def _read(path: Path, data: DataConfig) -> list[dict[str, str]]:
    """The rows of one metadata file, their ``file_name`` made a path that exists."""
    if not path.exists():
        raise InputError(f"{path}: no such file; an image folder needs one, with file_name, label")
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            found = list(reader.fieldnames or ())
            rows = list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    _check_heading(path, found)
    require_columns(found, data, str(path))
    if not rows:
        raise InputError(f"{path}: no rows below the heading; add one for each image")
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise InputError(f"{path}: row {number} has not the {len(found)} fields of the heading")
        file = path.parent / row["file_name"]
        if not row["file_name"] or not file.is_file():
            raise InputError(
                f"{path}: row {number} names {row['file_name']!r}, which is not in {path.parent}"
            )
        row["file_name"] = str(file)
    return rows


def _check_once(tables: Mapping[Path, list[dict[str, str]]]) -> None:
    """Refuse an image that two rows name: it might train and test, or count twice."""
    first: dict[Path, tuple[Path, int]] = {}
    for path, rows in tables.items():
        for number, row in enumerate(rows, start=1):
            image = Path(row["file_name"]).resolve()
            other, before = first.setdefault(image, (path, number))
            if (other, before) != (path, number):
                where = "" if other == path else f" of {other}"
                raise InputError(
                    f"{path}: row {number} names the image of row {before}{where}, {image.name!r}; "
                    "leave one of them out, or it counts twice, or trains and tests"
                )


def _check_heading(path: Path, found: list[str]) -> None:
    """Refuse a heading without ``file_name``, or with one name for two columns."""
    if "file_name" not in found:
        raise InputError(
            f"{path}: no column 'file_name'; there are: {', '.join(found)}{_other_mark(found)}"
        )
    twice = [name for place, name in enumerate(found) if name in found[:place]]
    if twice:
        raise InputError(f"{path}: has several columns {twice[0]!r}; rename all but one")


def _other_mark(found: list[str]) -> str:
    """Advice where the heading is that of a table with another separator."""
    for mark, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if any("file_name" in column.split(mark) for column in found):
            return f"; its columns are separated by {name}: save it with commas"
    return ""
