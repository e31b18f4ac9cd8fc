"""The sensitive feature of the bundled data: a flat colour that an image is shaded in.

Fashion-MNIST carries no sensitive feature. A tint multiplies an image's intensity by one of four
flat colours, so that class × group cells exist on real images: black stays black, white becomes the
colour, and grey leaves an image as it is. The federation's data and the bundled weights share it.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from semantic.arrays import Images, Indices

TINTS: MappingProxyType[str, tuple[int, int, int]] = MappingProxyType(
    {
        "grey": (255, 255, 255),
        "red": (255, 72, 64),
        "green": (64, 224, 88),
        "blue": (80, 128, 255),
    }
)
"""Colour (red, green, blue; 0 to 255) that white turns into, by the tint's name."""


def tint_images(images: Images, tint_index: Indices) -> Images:
    """Shade each image, ``[n, H, W]`` (grey) or ``[n, H, W, 3]``, in its tint; ``[n, H, W, 3]``.

    Tints are positions in `TINTS`. Channel × colour / 255, rounded.
    """
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(f"images have shape {images.shape}, expected [n, H, W] or [n, H, W, 3]")
    if tint_index.shape != images.shape[:1]:
        raise ValueError(f"{images.shape[0]} images but {tint_index.shape} tint indices")
    if tint_index.size and not (tint_index.min() >= 0 and tint_index.max() < len(TINTS)):
        raise ValueError(f"a tint index lies outside 0 to {len(TINTS) - 1}")
    colours = np.array(list(TINTS.values()), dtype=np.uint16)[tint_index]
    shaded = (images.astype(np.uint16) * colours[:, np.newaxis, np.newaxis, :] + 127) // 255
    return shaded.astype(np.uint8)
