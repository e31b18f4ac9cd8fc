"""A user's image folder, in the conventions of Hugging Face's `imagefolder`.

A table (``metadata.csv``, ``.jsonl`` or ``.parquet``) has a column ``file_name``, relative to the
table itself, the label, any number of sensitive columns, and optionally a client and a split
column. Instead of a split column the folder may hold such folders for ``train``, ``val`` and
``test``. Without any table, the folders that images lie in are their labels.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from fairfed.data.metadata import METADATA, Row, find_metadata, read_metadata
from fairfed.data.records import Records
from fairfed.data.saying import say, some
from fairfed.data.splits import Part, part_of
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.config import DataConfig

Listed = tuple[Path, Row]
"""An image file, and what its row says."""

FILE = "file_name"
FILE_COLUMNS = (
    "filename", "file", "path", "filepath", "image", "imagepath", "imagefile", "imagename",
)  # fmt: skip
"""What else the column of file names is called, without regard to case, `_`, `-` and blanks."""
SUFFIXES = (
    ".apng", ".avif", ".bmp", ".dcm", ".gif", ".jfif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm",
    ".png", ".ppm", ".tga", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Endings of image files: what is looked for where no table names the files."""

EXPECTED = (
    "expected a table (metadata.csv, .jsonl or .parquet) with the columns file_name and label, or "
    "a folder for each class, CLASS/x.png or train/CLASS/x.png"
)


def read_folder(data: DataConfig) -> Records:
    """The rows of an image folder, as its table or its folders have them; errors name the row."""
    directory = Path(data.source)
    if not directory.is_dir():
        raise InputError(
            f"data.source: no directory {str(directory)!r}; expected 'bundled', 'fashion-mnist', "
            "'hf:NAME', an image folder with a metadata.csv, or a 'module:function' of your own"
        )
    tables = _tables(directory)
    if tables:
        return _records(tables, directory, _listed(tables, directory, data))
    return _records([], directory, _by_folder(directory, data))


def read_image_table(data: DataConfig) -> Records:
    """The rows of a table that names image files, relative to itself, wherever it lies."""
    path = Path(data.source)
    if not path.is_file():
        raise InputError(f"data.source: no file {str(path)!r}")
    return _records([(None, path)], path.parent, _listed([(None, path)], path.parent, data))


def _records(
    tables: list[tuple[Part | None, Path]],
    directory: Path,
    read: tuple[list[Listed], list[Part] | None],
) -> Records:
    rows, parts = read
    columns = [name for name in rows[0][1] if all(name in row for _, row in rows)]
    return Records(
        where=str(tables[0][1] if len(tables) == 1 else directory),
        size=len(rows),
        columns={name: [row[name] for _, row in rows] for name in columns},
        parts=parts,
        name=lambda row: str(rows[row][0]),
        content=lambda row: rows[row][0],
    )


def _tables(directory: Path) -> list[tuple[Part | None, Path]]:
    """The tables of a folder: its own, or those of its folders for parts, training first."""
    own = find_metadata(directory)
    if own is not None:
        return [(None, own)]
    found = [(part, folder, find_metadata(folder)) for part, folder in _part_folders(directory)]
    tables: list[tuple[Part | None, Path]] = [
        (part, table) for part, _, table in found if table is not None
    ]
    without = [folder for _, folder, table in found if table is None]
    if tables and without:
        raise InputError(
            f"{without[0]} has no table, while {tables[0][1].parent} has one; add it, or move "
            "the folder elsewhere"
        )
    return tables


def _folders(directory: Path) -> list[Path]:
    found = (path for path in directory.iterdir() if path.is_dir())
    return sorted(path for path in found if not path.name.startswith("."))


def _part_folders(directory: Path) -> list[tuple[Part, Path]]:
    """The folders whose names say what their images are for: training, validation, test."""
    order = ("train", "validation", "test")
    found = [(part, folder) for folder in _folders(directory) if (part := part_of(folder.name))]
    return sorted(found, key=lambda pair: (order.index(pair[0]), pair[1]))


def _listed(
    tables: list[tuple[Part | None, Path]], directory: Path, data: DataConfig
) -> tuple[list[Listed], list[Part] | None]:
    """The rows of tables, and the parts of the tables or of the folders that rows name."""
    read = [(part, path, _read(path, data)) for part, path in tables]
    first: dict[Path, tuple[Path, int]] = {}
    for _, path, own in read:
        _check_once(path, own, first)
    named = {file for _, _, own in read for file, _ in own}
    unnamed = (path for path in _images(directory) if path not in named)
    others = sorted(str(path) for path in unnamed if path.resolve() not in first)
    if others:
        say(
            f"{directory}: {len(others):,} images are in no row of {tables[0][1].name} and are "
            f"not used: {some(others)}"
        )
    rows = [row for _, _, own in read for row in own]
    parts = [part for part, _, own in read for _ in own if part is not None]
    if not parts and data.split not in rows[0][1]:
        parts = _parts_of_paths([file for file, _ in rows], directory)
    return rows, parts or None


def _parts_of_paths(files: list[Path], directory: Path) -> list[Part]:
    """The parts that the files' folders say, if all do and there are several; else none."""
    firsts = [Path(os.path.relpath(file, directory)).parts[0] for file in files]
    parts = [part for first in firsts if (part := part_of(first)) is not None]
    if len(parts) < len(files) or len(set(parts)) < 2:
        return []
    say(f"{directory}: its folders {', '.join(sorted(set(firsts)))} divide the rows")
    return parts


def _read(path: Path, data: DataConfig) -> list[Listed]:
    """The rows of one table, each with the file that it names."""
    found, rows = read_metadata(path)
    column = _file_column(path, found, data)
    if not rows:
        raise InputError(f"{path}: no rows below the heading; add one for each image")
    rows = [{FILE: row.pop(column), **row} for row in rows]
    files = [_existing(path.parent, row[FILE]) for row in rows]
    gone = [n for n, file in enumerate(files) if file is None]
    if gone:
        names = some([f"row {n + 1} names {rows[n][FILE]!r}" for n in gone])
        raise InputError(f"{path}: {names}, which is not in {path.parent}")
    return [(file, row) for file, row in zip(files, rows, strict=True) if file is not None]


def _existing(folder: Path, named: str) -> Path | None:
    """The file that a row names, if there is one; its folders may be divided by back slashes."""
    for name in (named, named.replace("\\", "/")):
        if name and (folder / name).is_file():
            return folder / name
    return None


def _check_once(path: Path, rows: list[Listed], first: dict[Path, tuple[Path, int]]) -> None:
    """Refuse an image that two rows name: it might train and test, or count twice."""
    for number, (file, _) in enumerate(rows, start=1):
        image = file.resolve()
        other, before = first.setdefault(image, (path, number))
        if (other, before) != (path, number):
            where = "" if other == path else f" of {other}"
            raise InputError(
                f"{path}: row {number} names the image of row {before}{where}, {image.name!r}; "
                "leave one of them out, or it counts twice, or trains and tests"
            )


def _file_column(path: Path, found: list[str], data: DataConfig) -> str:
    """The column of file names; refuses one name for two columns, too."""
    twice = [name for place, name in enumerate(found) if name in found[:place]]
    if twice:
        raise InputError(f"{path}: has several columns {twice[0]!r}; rename all but one")
    if data.image_column not in FILE_COLUMNS and data.image_column in found:
        return data.image_column
    if FILE in found:
        return FILE
    own = (data.label, data.client, data.split, *data.sensitive)
    plain = {"".join(c for c in n.lower() if c not in "_- "): n for n in found if n not in own}
    for other in FILE_COLUMNS:
        if other in plain:
            return plain[other]
    raise InputError(f"{path}: no column {FILE!r}; there are: {', '.join(found)}")


def _by_folder(directory: Path, data: DataConfig) -> tuple[list[Listed], list[Part] | None]:
    """The images of a folder of folders, each named after the class of the images in it."""
    parts, inner = _part_folders(directory), _folders(directory)
    divided = len(parts) == len(inner) and all(_folders(folder) for folder in inner)
    rows: list[Listed] = []
    of: list[Part] = []
    for part, top in parts if divided else [(None, directory)]:
        for folder in _folders(top):
            for path in _images(folder):
                if path.parent != folder:
                    raise InputError(f"{path}: deeper than expected; {EXPECTED}")
                rows.append((path, {data.label: folder.name}))
                of += [part] if part is not None else []
    if not rows:
        raise InputError(f"{directory / METADATA}: no such file; {EXPECTED}")
    return rows, of or None


def _images(directory: Path) -> Iterator[Path]:
    """Files below a folder that end as images do, in the order of their names; no hidden ones."""
    for folder, inner, files in os.walk(directory):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(files):
            if PurePosixPath(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield Path(folder) / name
