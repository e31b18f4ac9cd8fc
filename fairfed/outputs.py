"""Files that a user names to be written: what is there is not lost by accident."""

from __future__ import annotations

from pathlib import Path

from semantic.errors import InputError


def check_output(path: Path, force: bool, option: str = "--out") -> None:
    """Refuse an output that exists: it may be another's, or a release that was handed on.

    Raises
    ------
    semantic.errors.InputError
        If it exists and is not to be replaced, or is a directory.
    """
    if path.is_dir():
        raise InputError(f"{option} {path} is a directory; give the name of a file")
    if path.exists() and not force:
        raise InputError(
            f"{option} {path} exists; give another name, or replace it with --force (a further "
            "noised release of the same data adds its ε and δ to those of the first)"
        )
