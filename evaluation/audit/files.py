"""From paths, globs and directories to the files that are read, each once."""

from __future__ import annotations

import contextlib
import glob
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

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
GZIP = ".gz"
ISIZE = 4
"""Bytes at the end of a gzipped file that hold the size of its content."""

NOTHING = "{pattern}: no such file, directory or match; check the path (globs may use **)"
NOTHING_IN = "{folder}: this directory holds no file that ends in {known}"
UNKNOWN = "{path}: expected a file that ends in {known}; convert it or rename it"
MIXED = (
    "{path}: holds files of several kinds ({kinds}); name the ones to read, as {path}/**/*.{kind}"
)
TWICE = "{path} is named more than once and counted once"
ZIPPED = "{path} is {first}, compressed or not, and counted once"
COPIES = "{path} seems to be a copy of {first}: both are counted; leave one out if it is"


@dataclass(frozen=True)
class DataFile:
    """A file to read."""

    path: Path
    kind: Kind


def find_files(patterns: Sequence[str | Path]) -> tuple[tuple[DataFile, ...], tuple[str, ...]]:
    """The files that patterns name, sorted within each pattern, and what is to be said of them.

    A path stands for itself; a directory for all files of one kind below it; a glob for its matches
    that are of a kind that is read. A file that is reached twice, by links too or as ``x.csv`` and
    ``x.csv.gz``, is counted once and a note says so. Different files of the same size whose first
    and last 64 KiB agree are counted and a note says that one is probably a copy: equal small files
    may well be right, so that this is no error. Of a gzipped file its content is compared, without
    the end.
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
    found, copies = _without_twins(files.values())
    return found, (*dict.fromkeys(notes), *copies)


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
        raise InputError(NOTHING_IN.format(folder=folder, known=", ".join(SUFFIXES)))
    if len(kinds) > 1:
        raise InputError(MIXED.format(path=folder, kinds=", ".join(kinds), kind=kinds[0]))
    return files


def _kind(path: Path) -> Kind | None:
    name = path.name.lower()
    return next((kind for suffix, kind in SUFFIXES.items() if name.endswith(suffix)), None)


def _without_twins(files: Iterable[DataFile]) -> tuple[tuple[DataFile, ...], list[str]]:
    """The files, each table once though it is there gzipped, too; and notes, also about copies."""
    kept: dict[Path, DataFile] = {}
    seen: dict[tuple[int, bytes], list[tuple[Path, bytes]]] = {}
    notes = []
    for file in files:
        twin = next((path for path in kept if _twins(path, file.path)), None)
        if twin is not None and _same_content(twin, file.path):
            notes.append(ZIPPED.format(path=file.path, first=twin))
            continue
        kept[file.path] = file
        start, end = _fingerprint(file.path)
        earlier = seen.setdefault(start, [])
        # The end of a gzipped file's content costs reading all of it.
        first = next((path for path, own in earlier if own == end or not (own and end)), None)
        if first is not None:
            notes.append(COPIES.format(path=file.path, first=first))
        earlier.append((file.path, end))
    return tuple(kept.values()), notes


def _twins(a: Path, b: Path) -> bool:
    """Whether one is the other's name with ``.gz``."""
    names = sorted((a.name, b.name), key=len)
    return a.parent.resolve() == b.parent.resolve() and names[0] + GZIP == names[1]


def open_content(path: Path) -> IO[bytes]:
    """A file's content, decompressed where its first bytes are those of gzip."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if zipped else path.open("rb")


def _same_content(a: Path, b: Path) -> bool:
    """Whether two files are the same, decompressed; as far as the first difference is read."""
    try:
        with open_content(a) as one, open_content(b) as other:
            while (block := one.read(BLOCK)) == other.read(BLOCK):
                if not block:
                    return True
    except (OSError, EOFError, zlib.error):
        pass  # damaged: whoever counts it says so
    return False


def _fingerprint(path: Path) -> tuple[tuple[int, bytes], bytes]:
    """Size of the content (its lower 32 bits) and its start; its end, empty where unknown."""
    try:
        with path.open("rb") as file:
            start = file.read(BLOCK)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - BLOCK, 0))
            end = file.read(BLOCK)
        if start.startswith(b"\x1f\x8b") and len(end) >= ISIZE:
            with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(path) as content:
                start = content.read(BLOCK)
                size, end = int.from_bytes(end[-ISIZE:], "little"), b""
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    begins = size % 2**32, hashlib.sha256(start).digest()
    return begins, end and hashlib.sha256(end).digest()
