"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """Where this user's cache has things of a kind."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fairfed" / kind


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A draft beside a file, which takes its place at the end; after an error nothing is left.

    Threads and processes that write the same file do not meet in their drafts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".partial.{os.getpid()}.{threading.get_ident()}.{path.name}")
    try:
        yield draft
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
