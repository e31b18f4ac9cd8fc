"""Decoding and resizing images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from semantic.errors import InputError


def read_image(path: Path, side: int) -> npt.NDArray[np.uint8]:
    """Read an image file as ``[side, side, 3]``.

    Raises
    ------
    semantic.errors.InputError
        If the file is no image that Pillow can read.
    """
    try:
        with Image.open(path) as image:
            return to_array(image, side)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a readable image ({error}); replace or remove it") from error


def to_array(image: Image.Image, side: int) -> npt.NDArray[np.uint8]:
    """Turn an image upright, to RGB, and to `side` × `side` pixels: ``[side, side, 3]``."""
    upright = ImageOps.exif_transpose(image).convert("RGB")
    if upright.size != (side, side):
        upright = upright.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(upright, np.uint8)


def resize_all(images: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Resize ``[n, H, W, 3]`` to ``[n, side, side, 3]``."""
    return np.stack([to_array(Image.fromarray(image), side) for image in images])
