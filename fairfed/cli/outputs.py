"""Files that a user names to be written: what is there is not lost by accident."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evaluation.files import write_whole
from semantic.attributes import AttributeTable, write_table
from semantic.errors import InputError


def check_output(path: Path, force: bool, option: str = "--out") -> None:
    """Refuse an output that exists: it may be another's, or a release that was handed on."""
    if path.is_dir():
        raise InputError(f"{option} {path} is a directory; give the name of a file")
    if path.exists() and not force:
        raise InputError(
            f"{option} {path} exists; give another name, or replace it with --force (a further "
            "noised release of the same data adds its ε and δ to those of the first)"
        )


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a JSON file, whole or not at all; `InputError` if the place cannot be written to."""
    try:
        write_whole(path, (json.dumps(record, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise InputError(f"--out {path} cannot be written ({error})") from error


def write_attributes(table: AttributeTable, path: Path) -> None:
    """Write an attribute table as CSV, whole or not at all; raises as `write_record`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(table, path)
    except OSError as error:
        raise InputError(f"--out {path} cannot be written ({error})") from error
