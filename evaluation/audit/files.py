"""From paths, globs and directories to the files that are read, each once."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evaluation.errors import InputError

Kind = Literal["csv", "parquet", "arrow"]

SUFFIXES: dict[str, Kind] = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "csv",
    ".tsv.gz": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
"""Endings of file names that are read."""
BLOCK = 65536
"""Bytes at either end of a file by which copies are recognised."""

NOTHING = "{pattern}: no such file, directory or match; check the path (globs may use **)"
UNKNOWN = "{path}: expected a file that ends in {known}; convert it or rename it"
MIXED = (
    "{path}: holds files of several kinds ({kinds}); name the ones to read, as {path}/**/*.{kind}"
)
TWICE = "{path} is named more than once and counted once"
COPIES = "{path} seems to be a copy of {first}: both are counted; leave one out if it is"


@dataclass(frozen=True)
class DataFile:
    """A file to read."""

    path: Path
    kind: Kind


def find_files(patterns: Sequence[str | Path]) -> tuple[tuple[DataFile, ...], tuple[str, ...]]:
    """The files that patterns name, sorted within each pattern, and what is to be said of them.

    A path stands for itself; a directory for all files of one kind below it; a glob for its matches
    that are of a kind that is read. A file that is reached twice, by links too, is counted once and
    a note says so. Different files of the same size whose first and last 64 KiB agree are counted
    and a note says that one is probably a copy: equal small files may well be right, so that this
    is no error.

    Raises
    ------
    InputError
        If a pattern matches nothing, or what it names is not of a kind that is read.
    """
    files: dict[Path, DataFile] = {}
    notes: list[str] = []
    for pattern in patterns:
        for path in _matches(str(pattern)):
            kind, real = _kind(path), path.resolve()
            if kind is None:
                known = ", ".join(SUFFIXES)
                raise InputError(UNKNOWN.format(path=path, known=known))
            if real in files:
                notes.append(TWICE.format(path=path))
            files.setdefault(real, DataFile(path, kind))
    found = tuple(files.values())
    return found, (*dict.fromkeys(notes), *_copies(found))


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        return _directory(path)
    if path.exists():
        return [path]
    # Path.glob takes no absolute pattern.
    matched = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207
    known = [path for path in matched if path.is_file() and _kind(path) is not None]
    if not known:
        raise InputError(NOTHING.format(pattern=pattern))
    return known


def _directory(folder: Path) -> list[Path]:
    files = [
        path
        for path in sorted(folder.rglob("*"))
        # What starts so is a writer's bookkeeping: _SUCCESS, _metadata, .part-0.crc.
        if path.is_file() and not path.name.startswith(("_", ".")) and _kind(path) is not None
    ]
    kinds = sorted({str(_kind(path)) for path in files})
    if not files:
        raise InputError(NOTHING.format(pattern=folder))
    if len(kinds) > 1:
        raise InputError(MIXED.format(path=folder, kinds=", ".join(kinds), kind=kinds[0]))
    return files


def _kind(path: Path) -> Kind | None:
    name = path.name.lower()
    return next((kind for suffix, kind in SUFFIXES.items() if name.endswith(suffix)), None)


def _copies(files: Iterable[DataFile]) -> list[str]:
    first: dict[tuple[int, bytes], Path] = {}
    notes = []
    for file in files:
        known = first.setdefault(_fingerprint(file.path), file.path)
        if known is not file.path:
            notes.append(COPIES.format(path=file.path, first=known))
    return notes


def _fingerprint(path: Path) -> tuple[int, bytes]:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            ends = file.read(BLOCK)
            file.seek(max(size - BLOCK, 0))
            ends += file.read(BLOCK)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    return size, hashlib.sha256(ends).digest()
