"""Files that are replaced whole: no reader, and no crash, sees half of one; and JSON lines."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_whole(path: Path, data: bytes) -> None:
    """Write beside the target, flush to disk, rename; missing folders are created.

    It is there whole or not at all also after a power cut.
    """
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


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_whole(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all."""
    write_text(path, json.dumps(content, ensure_ascii=False) + "\n")


def replace_text(path: Path, text: str) -> None:
    """Write a text that is made anew while others read it, or write it too; into its folder."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def json_lines(text: str) -> list[str]:
    """The lines of a text of JSON lines, without empty ones.

    `str.splitlines` would also end lines at U+2028 and others, which JSON strings may hold.
    """
    return [line for line in text.split("\n") if line.strip()]
