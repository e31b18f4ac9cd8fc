"""Attributes measured on one image: words for its shape, outline, brightness, texture, symmetry.

Attributes of a class hardly generalise to a class that no model has seen, because they never vary
within a class. Words measured on each image do vary, so a text-conditioned generator can learn what
they mean and reuse them. Thresholds are near the tertiles of Fashion-MNIST's training images.
"""

from __future__ import annotations

import numpy as np

from semantic.arrays import Flags, Floats, Images

FOREGROUND = 0.1
"""Intensity (0 to 1) above which a pixel belongs to the object."""

# measure -> (low word below this, low word, high word above this, high word, word between)
BINS: dict[str, tuple[float, str, float, str, str | None]] = {
    "height": (0.55, "low", 0.92, "tall", "medium height"),
    "width": (0.60, "narrow", 0.88, "wide", "medium width"),
    "brightness": (0.50, "dark", 0.72, "bright", None),
    "fill": (0.60, "with gaps", 0.80, "solid", None),
    "texture": (0.09, "smooth", 0.14, "patterned", None),
    "asymmetry": (0.25, "symmetric", 0.70, "asymmetric", None),
    "top": (0.45, "narrow top", 0.74, "broad top", None),
    "bottom": (0.66, "narrow bottom", 0.84, "broad bottom", None),
    "left": (0.45, "low left", 0.73, "full left", None),
    "right": (0.62, "low right", 0.78, "full right", None),
}

WORDS = tuple(word for bins in BINS.values() for word in (bins[1], bins[4], bins[3]) if word)
"""Every word that an image can deserve."""


def _extent(occupied: Flags) -> Floats:
    """Length from the first to the last occupied position, ``[n, length] -> [n]``."""
    length = occupied.shape[1]
    span = length - occupied[:, ::-1].argmax(1) - occupied.argmax(1)
    return np.where(occupied.any(1), span, 0).astype(np.float64)


def _filled_thirds(mask: Flags) -> Floats:
    """Filled share of the top, bottom, left and right third of the bounding box, ``[n, 4]``."""
    shares = np.zeros((len(mask), 4))
    for row, shape in zip(shares, mask, strict=True):
        rows, columns = np.flatnonzero(shape.any(1)), np.flatnonzero(shape.any(0))
        if len(rows) == 0:
            continue
        box = shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        high, wide = (max(1, round(side / 3)) for side in box.shape)
        row[:] = [p.mean() for p in (box[:high], box[-high:], box[:, :wide], box[:, -wide:])]
    return shares


def measure(images: Images, object_size: int = 28) -> dict[str, Floats]:
    """Measure every image.

    Parameters
    ----------
    images
        ``[n, H, W]`` or ``[n, H, W, 3]``, 0 to 255, object on black. Colour counts by its strongest
        channel, so that a tint does not darken an image.
    object_size
        Side, in pixels, that counts as full height or width.

    Returns
    -------
    For each measure of `BINS`, ``[n]``: height and width relative to `object_size`, mean intensity
    and mean horizontal step inside the object, share of the bounding box filled, the summed
    difference to the mirror image relative to the summed intensity, and the filled share of the
    bounding box's outer thirds.
    """
    grey = (images.max(-1) if images.ndim == 4 else images).astype(np.float64) / 255
    mask: Flags = grey > FOREGROUND
    height, width = _extent(np.any(mask, axis=2)), _extent(np.any(mask, axis=1))
    area = np.maximum(mask.sum((1, 2)), 1)
    pairs = mask[:, :, 1:] & mask[:, :, :-1]
    steps = (np.abs(np.diff(grey, axis=2)) * pairs).sum((1, 2)) / np.maximum(pairs.sum((1, 2)), 1)
    mirrored = np.abs(grey - grey[:, :, ::-1]).sum((1, 2))
    thirds = dict(zip(("top", "bottom", "left", "right"), _filled_thirds(mask).T, strict=True))
    return {
        "height": height / object_size,
        "width": width / object_size,
        "brightness": (grey * mask).sum((1, 2)) / area,
        "fill": area / np.maximum(height * width, 1),
        "texture": steps,
        "asymmetry": mirrored / np.maximum(grey.sum((1, 2)), 1e-6),
        **thirds,
    }


def measured_words(images: Images) -> list[tuple[str, ...]]:
    """Words that each image deserves, in the order of `BINS`; see `measure` for the input."""
    words: list[list[str]] = [[] for _ in range(len(images))]
    for name, values in measure(images).items():
        low, low_word, high, high_word, between = BINS[name]
        for row, value in zip(words, values, strict=True):
            word = low_word if value < low else high_word if value > high else between
            if word is not None:
                row.append(word)
    return [tuple(row) for row in words]
