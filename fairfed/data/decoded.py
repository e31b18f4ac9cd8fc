"""Decoded images that are too many for memory, in a file of this machine's own.

The file is named after the images' content (files by path, size and time of change; bytes by their
hash) and after how they are decoded: another run of the same images finds it, and changed ones make
another.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL

from fairfed.data.pixels import Pixels
from fairfed.data.records import Records
from fairfed.data.saying import say
from fairfed.data.stored import PixelFile, StoredImages
from semantic.errors import InputError
from semantic.files import cache_folder, written_whole

if TYPE_CHECKING:
    from fairfed.config import DataConfig

GIB = 2**30
FORM = 1
"""Goes up when the same files shall be decoded otherwise."""
NO_SPACE = (
    "data.cache: {images:,} decoded images take {need:.1f} GiB, and {folder} has {free:.1f} GiB "
    "free; name a folder on another disk, make data.image_size smaller, or raise data.memory"
)
ONCE = (
    "{where}: {images:,} images of {side} × {side} pixels are decoded once, into {path} "
    "({need:.1f} GiB, more than the {memory:g} of data.memory); remove it when you need it no more"
)


@dataclass(frozen=True)
class Reading:
    """What became of the files that were read."""

    kept: list[int]  # positions of those that are images
    said: list[str]  # what the user shall know


class PixelWriter:
    """A file in the making, which takes images as an array does."""

    def __init__(self, file: int, shape: tuple[int, ...]) -> None:
        self._file, self._size = file, int(np.prod(shape[1:]))
        os.truncate(file, shape[0] * self._size)

    def __setitem__(self, place: int, image: Pixels) -> None:
        """Write one image."""
        os.pwrite(self._file, np.ascontiguousarray(image).data, place * self._size)


def in_file(
    records: Records,
    rows: Sequence[int],
    data: DataConfig,
    decode: Callable[[PixelWriter], Reading],
) -> tuple[StoredImages, Reading]:
    """The images of some rows, decoded now or found; only one process of a machine decodes."""
    folder = cache_folder("decoded") if data.cache is None else Path(data.cache)
    shape = len(rows), data.image_size, data.image_size, 3
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # these are a site's real images
    path = folder / f"{_key(records, rows, data)}.pixels"
    about = path.with_suffix(".json")
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when it is closed, or the process dies
        if not about.is_file():
            _check_space(folder, shape)
            say(ONCE.format(where=records.where, images=len(rows), side=data.image_size, path=path,
                            need=np.prod(shape) / GIB, memory=data.memory))  # fmt: skip
            with path.open("wb") as file:
                read = decode(PixelWriter(file.fileno(), shape))
            with written_whole(about) as draft:
                draft.write_text(json.dumps(asdict(read)))
        read = Reading(**json.loads(about.read_text()))
    return StoredImages.whole(PixelFile(path, shape)), read


def _check_space(folder: Path, shape: tuple[int, ...]) -> None:
    need, free = int(np.prod(shape)), shutil.disk_usage(folder).free
    if need > free:
        raise InputError(
            NO_SPACE.format(images=shape[0], need=need / GIB, folder=folder, free=free / GIB)
        )


def _key(records: Records, rows: Sequence[int], data: DataConfig) -> str:
    how = (data.image_size, data.window, data.background, data.max_megapixels, data.unreadable)
    found = hashlib.sha256(repr((FORM, PIL.__version__, how, len(rows))).encode())
    for row in rows:
        content = records.content(row)
        if isinstance(content, Path):
            try:
                there = content.stat()
                said = repr((str(content.resolve()), there.st_size, there.st_mtime_ns)).encode()
            except OSError:
                said = b"none"
        else:
            said = hashlib.sha256(content or b"").digest()
        found.update(hashlib.sha256(said).digest())
    return found.hexdigest()[:32]
