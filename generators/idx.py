"""The IDX files of Fashion-MNIST."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from semantic.arrays import Images
from semantic.errors import InputError

DEBIAN_DIRECTORY = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package `dataset-fashion-mnist` puts the four files."""

_UNSIGNED_BYTES = b"\x00\x00\x08"


def read_idx(path: Path) -> Images:
    """Read an IDX file of unsigned bytes, gzipped or not.

    The format: magic ``0 0 8 d``, then ``d`` big-endian sizes, then the bytes.
    """
    if not path.exists() and path.suffix == ".gz":
        path = path.with_suffix("")
    if not path.exists():
        raise InputError(
            f"{path}: no such file; the directory must hold the four IDX files of Fashion-MNIST "
            "(Debian: package dataset-fashion-mnist)"
        )
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if raw[:3] != _UNSIGNED_BYTES:
            raise ValueError("not an IDX file of unsigned bytes")
        sizes = np.frombuffer(raw, ">u4", raw[3], offset=4)
        values = np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3])
        return values.reshape(tuple(int(size) for size in sizes))
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise InputError(f"{path}: damaged ({error}); fetch it again") from error
