"""Writing to a store: whole or not at all, and with a clear word where the disk refuses."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semantic.errors import InputError
from semantic.files import written_whole

MEGABYTE = 10**6


class StoreError(InputError):
    """A store cannot be written: the disk is full, or the folder is not writable."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a `StoreError` that says how to go on."""
    try:
        yield
    except OSError as error:
        there = next((p for p in (path, *path.parents) if p.is_dir()), Path.cwd())
        free = shutil.disk_usage(there).free / MEGABYTE
        raise StoreError(
            f"{path} cannot be written ({error.strerror or error}; {free:,.0f} MB free there). "
            "Make room, or name another folder for it in the configuration, and start the same "
            "command again: it goes on from what is stored."
        ) from error


def replace_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it; on failure nothing is left behind."""
    with explained(path), written_whole(path) as draft:
        draft.write_bytes(content)


def append_whole(path: Path, row: bytes) -> None:
    """Append a row to a file of lines, against all other processes; on failure it is as before.

    A line that a killed process has left open is closed first, so that it costs only itself; an
    empty `row` does only that.
    """
    from filelock import FileLock

    lock = FileLock(path.with_name(f"{path.name}.lock"), thread_local=False, is_singleton=False)
    with explained(path), lock, path.open("a+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                row = b"\n" + row
        if row and file.write(row) != len(row):
            file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_new_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, from its first byte on; never over another one.

    Raises `FileExistsError` if it is there, and `StoreError` if it cannot be written.
    """
    with explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with explained(path), os.fdopen(handle, "wb") as file:
            file.write(content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
