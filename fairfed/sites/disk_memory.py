"""What a site has put together, on its own disk: for whom every message is a new process.

A SuperNode starts one for each, which would decode all images, embed them and ask CLIP what it
sees, in every round anew.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar

from evaluation.files import write_whole
from fairfed import __version__
from fairfed.sites.memory import KEPT_BYTES, Memory
from generators.writing import explained

logger = logging.getLogger("fairfed")

T = TypeVar("T")


class DiskMemory(Memory):
    """A memory whose values are in files as well; the oldest go first where there are too many.

    What lies in the folder is believed: it is the site's own, and only this class may have written
    it. `about` is what the values depend on beside their keys, `limit` how many bytes are kept, in
    memory and in the folder each.
    """

    def __init__(self, folder: Path, about: str, limit: int = KEPT_BYTES) -> None:
        super().__init__(limit)
        self._folder, self._about = folder, about

    def get(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """The value of a key, made now where it is in neither."""
        return super().get(key, lambda: self._from_disk(key, make), size)

    def _from_disk(self, key: Hashable, make: Callable[[], T]) -> T:
        path = self._folder / f"{self._named(key)}.pickle"
        if path.is_file():
            try:
                value: T = pickle.loads(path.read_bytes())
            except (OSError, EOFError, ValueError, AttributeError, pickle.UnpicklingError) as error:
                logger.warning("%s cannot be read (%s); put together anew", path, error)
            else:
                path.touch()
                return value
        made = make()
        with explained(path):
            write_whole(path, pickle.dumps(made, pickle.HIGHEST_PROTOCOL))
            self._tidy()
        return made

    def _named(self, key: Hashable) -> str:
        told = f"{__version__} {self._about} {key!r}"
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def _tidy(self) -> None:
        """Remove the files that were not used for longest, until the rest is within the limit."""
        found = sorted(
            ((path.stat().st_mtime, path.stat().st_size, path) for path in self._folder.iterdir()),
            reverse=True,
        )
        total = 0
        for _, size, path in found:
            total += size
            if total > self._limit:
                path.unlink(missing_ok=True)


def stamp_of(source: Path) -> str:
    """What changes when a file, or one below a folder, is written, moved or removed."""
    stamp = hashlib.sha256()
    for path in [source, *sorted(source.rglob("*"))] if source.is_dir() else [source]:
        seen = path.stat()
        stamp.update(f"{path}\0{seen.st_size}\0{seen.st_mtime_ns}\n".encode("utf-8", "replace"))
    return stamp.hexdigest()
