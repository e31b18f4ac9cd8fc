"""Decoding and resizing images: to RGB, 8 bits, one size."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from fairfed.data.dicom import is_dicom, read_dicom
from semantic.errors import InputError

WHITE = "white"
MEGAPIXEL = 10**6
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, OverflowError)
"""What Pillow raises for files that are no sound images."""

Pixels = npt.NDArray[np.uint8]


class Decoded(NamedTuple):
    """An image as its file has it, of the asked size."""

    # ``[side, side, 3]`` of 8 bits; ``[side, side]`` of float32 where a pixel has more.
    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    # Of the latter, the values that all but a thousandth of the pixels exceed, and stay below.
    spread: tuple[float, float] | None = None
    whole: bool = True  # of the latter, whether all values are whole numbers
    see_through: bool = False  # whether a background shows
    # Whether the file has colours of 16 bits, of which Pillow reads the upper 8.
    halved: bool = False


def read_image(content: Path | bytes, side: int, background: str, megapixels: float) -> Decoded:
    """Read an image file, or its bytes, within `any_size`.

    An `InputError` has the reason alone, and no name.
    """
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        if is_dicom(content):
            return decode(read_dicom(content), side, background)
        with Image.open(source) as image:
            size = image.width * image.height / MEGAPIXEL
            if size <= megapixels:
                halved = ";16" in str(getattr(image, "tile", "")) and image.mode[0] in "RL"
                return decode(image, side, background)._replace(halved=halved)
    except UNREADABLE as error:
        raise InputError(f"not a readable image ({error})") from error
    raise InputError(
        f"{size:,.0f} megapixels, more than the {megapixels:g} of data.max_megapixels; make it "
        "smaller, or raise that"
    )


@contextmanager
def any_size() -> Iterator[None]:
    """Switch off Pillow's own limit, which no setting of ours reaches; for all threads at once."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def decode(image: Image.Image, side: int, background: str = WHITE) -> Decoded:
    """Turn an image upright, lay it on the background, and bring it to `side` × `side` pixels."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "F" or upright.mode.startswith("I"):
        return _deep(upright, side)
    see_through = False
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        see_through = bool(np.asarray(layer.getchannel("A")).min() < 255)
        if see_through:
            upright = Image.alpha_composite(Image.new("RGBA", layer.size, background), layer)
    pixels = np.asarray(_resized(upright.convert("RGB"), side), np.uint8)
    return Decoded(pixels, see_through=see_through)


def _deep(image: Image.Image, side: int) -> Decoded:
    """An image of one channel with more than 8 bits."""
    values = np.asarray(image).astype(np.float32)
    finite = np.isfinite(values)
    if not finite.any():
        raise ValueError("no finite value")
    known = values[finite]
    values[~finite] = known.min()
    low, high = np.percentile(known, (0.1, 99.9), method="nearest")
    pixels = np.asarray(_resized(Image.fromarray(values), side), np.float32)
    return Decoded(pixels, (float(low), float(high)), bool((known == np.rint(known)).all()))


def _resized(image: Image.Image, side: int) -> Image.Image:
    if image.size == (side, side):
        return image
    return image.resize((side, side), Image.Resampling.BILINEAR)


def choose_window(deep: list[Decoded]) -> tuple[float, float]:
    """The values that become black and white in all images with more than 8 bits together.

    Whole numbers: 0 to the largest of the bit depth that the data use, so 0 to 1023 for 10 bits in
    a file of 16. Sites whose devices are alike have the same window, which they would not have by
    their darkest and brightest pixels. Other numbers: 0 to 1 if they lie there. Otherwise, and
    where there are negative ones: the data's own range, without a thousandth at either end of an
    image.
    """
    spreads = np.array([one.spread for one in deep])
    low, high = float(spreads[:, 0].min()), float(spreads[:, 1].max())
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and all(one.whole for one in deep):
        return 0.0, float(2 ** int(high).bit_length() - 1)
    return low, high if high > low else low + 1


def through_window(values: npt.NDArray[Any], window: tuple[float, float]) -> Pixels:
    """Grey ``[H, W, 3]`` of 8 bits from values, clipped to the window."""
    low, high = window
    shares = np.clip((values.astype(np.float64) - low) / (high - low), 0, 1)
    return np.repeat((shares * 255 + 0.5).astype(np.uint8)[..., np.newaxis], 3, axis=-1)


def resize_all(images: Pixels, side: int) -> Pixels:
    """Resize ``[n, H, W, 3]`` to ``[n, side, side, 3]``."""
    return np.stack([np.asarray(_resized(Image.fromarray(image), side)) for image in images])
