"""A site's ledger: a line for everything that left it, each with the SHA-256 of the line before.

Whoever changes, removes or inserts a line breaks the chain behind it, which `Ledger.walk` finds;
that nothing was cut off its end shows only the hash of the last line, noted elsewhere.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Any

from generators.writing import explained

LEDGER = "ledger.jsonl"
"""Name of the file in a site's state directory."""
FIRST = "0" * 64
"""Stands for the line before the first one."""
BLOCK = 1 << 16
Entry = dict[str, Any]

ALTERED = "line {line} was altered"
UNCHAINED = "line {line} has no hash and stands behind lines that have one: it was inserted"
INSERTED = "line {line} does not belong where it stands: it was inserted, or lines were moved"
REMOVED = "before line {line}, {count} lines were removed"
BROKEN = "line {line} does not follow the line before it, which was altered"


@dataclass(frozen=True)
class Line:
    """A line of a ledger."""

    number: int  # from 1, as an editor counts
    # What it says; None of what an interrupted write left, for which nothing left the site.
    entry: Entry | None
    wrong: str = ""  # how the chain is broken here; empty where it is not


@dataclass
class _Chain:
    """What a line must continue."""

    number: int = 0
    head: str = FIRST
    begun: bool = False
    left: list[bytes] = field(default_factory=list)

    def take(self, raw: bytes, line: int) -> Line:
        """The next line, and whether it follows."""
        entry = _read(raw)
        if entry is None:
            self.left.append(raw)
            return Line(line, None)
        wrong = self._wrong(raw, entry, line)
        self.number = _number(entry)
        self.begun = self.begun or "before" in entry
        self.head, self.left = _hash(raw), []
        return Line(line, entry, wrong)

    def _wrong(self, raw: bytes, entry: Entry, line: int) -> str:
        if "before" not in entry:
            return UNCHAINED.format(line=line) if self.begun else ""
        skipped = _number(entry) - self.number - 1
        if not _is_itself(raw):
            return ALTERED.format(line=line)
        if skipped:
            wrong = REMOVED if skipped > 0 else INSERTED
            return wrong.format(line=line, count=skipped)
        if entry["before"] != self.head:
            return BROKEN.format(line=line)
        if entry.get("interrupted") != _interrupted(self.left):
            return BROKEN.format(line=line)
        return ""


class Ledger:
    """The ledger in a site's state directory; several processes may write it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER

    def append(
        self, entry: Mapping[str, Any], allowed: Callable[[Iterator[Entry]], None] | None = None
    ) -> None:
        """Write a line, on the disk when this returns; on failure the file is as before.

        `allowed` is handed all entries so far and may raise; no other process writes in between.
        Raises `StoreError` if the line cannot be written.
        """
        with explained(self.path), self._alone() as file:
            if allowed is not None:
                allowed(self.entries())
            chain, open_end = _end(file)
            said = {"n": chain.number + 1, "before": chain.head}
            lost = _interrupted(chain.left)
            said |= {} if lost is None else {"interrupted": lost}
            row = (b"\n" if open_end else b"") + _signed(said | dict(entry)) + b"\n"
            end = file.seek(0, os.SEEK_END)
            try:
                if file.write(row) != len(row):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise

    @contextmanager
    def _alone(self) -> Iterator[FileIO]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released when it is closed, or the process dies
            yield file

    def entries(self) -> Iterator[Entry]:
        """What the lines say, in order, whether or not the chain is whole."""
        return (entry for raw in self._raw() if (entry := _read(raw)) is not None)

    def walk(self) -> Iterator[Line]:
        """All lines, each compared with the ones before it."""
        chain = _Chain()
        for number, raw in enumerate(self._raw(), 1):
            yield chain.take(raw, number)

    def heads(self) -> Iterator[str]:
        """The hash of each line, in order; the last one is the ledger's head."""
        return (_hash(raw) for raw in self._raw() if _read(raw) is not None)

    def _raw(self) -> Iterator[bytes]:
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            yield from (line.rstrip(b"\n") for line in file)


def _read(raw: bytes) -> Entry | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _number(entry: Entry) -> int:
    """A line's number in the chain; 0 of one that is in none."""
    found = entry.get("n")
    return found if isinstance(found, int) else 0


def _hash(raw: bytes) -> str:
    return sha256(raw).hexdigest()


def _interrupted(left: list[bytes]) -> str | None:
    """Hash of what interrupted writes have left, which the next line vouches for."""
    return _hash(b"\n".join(left)) if left else None


def _signed(entry: Mapping[str, Any]) -> bytes:
    """A line that ends with its own hash."""
    body = json.dumps(entry, ensure_ascii=False).encode()
    return body[:-1] + _own(body) + b"}"


def _own(body: bytes) -> bytes:
    return b', "sha256": "' + _hash(body).encode() + b'"'


def _is_itself(raw: bytes) -> bool:
    """Whether a line is as its own hash says."""
    size = len(_own(b"")) + 1
    return raw[-size:] == _own(raw[:-size] + b"}") + b"}"


def _end(file: FileIO) -> tuple[_Chain, bool]:
    """What a new line continues, read from the end; and whether the last line is still open."""
    end, size = file.seek(0, os.SEEK_END), 0
    while True:
        size = min(end, max(BLOCK, 2 * size))
        file.seek(end - size)
        data = file.read(size)
        lines = data.split(b"\n")
        closed = lines[-1] == b""
        # The first line of a part may be the end of one.
        whole = lines[: -1 if closed else None][0 if size == end else 1 :]
        left: list[bytes] = []
        for raw in reversed(whole):
            entry = _read(raw)
            if entry is not None:
                return _Chain(_number(entry), _hash(raw), "before" in entry, left), not closed
            left.insert(0, raw)
        if size == end:
            return _Chain(left=left), bool(whole) and not closed
