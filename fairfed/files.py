"""Writing a file so that it is there whole or not at all, also after a power cut; JSON lines."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write beside the target, flush to disk, rename; missing folders are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.part")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def json_lines(text: str) -> list[str]:
    """The lines of a text of JSON lines, without empty ones.

    `str.splitlines` would also end lines at U+2028 and others, which JSON strings may hold.
    """
    return [line for line in text.split("\n") if line.strip()]
