"""Where a synthetic image comes from: text chunks in its PNG, and what its generator is."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from generators.requests import Generator, Image

PACKAGES = ("torch", "diffusers", "transformers", "open_clip_torch", "numpy", "pillow")
"""Packages whose version may change an image or its score."""


def encode_png(image: Image, text: Mapping[str, str]) -> bytes:
    """PNG of ``[H, W, 3]`` with its provenance in text chunks."""
    from PIL import Image as Pillow
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for name, value in text.items():
        info.add_text(name, value)
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def decode_png(content: bytes) -> tuple[Image, dict[str, str]] | None:
    """Image ``[H, W, 3]`` and text chunks of a PNG, or None if it is no sound PNG."""
    from PIL import Image as Pillow
    from PIL.PngImagePlugin import PngImageFile

    try:
        with Pillow.open(io.BytesIO(content), formats=["PNG"]) as opened:
            image = np.asarray(opened.convert("RGB"))
            text = dict(opened.text) if isinstance(opened, PngImageFile) else {}
    except (OSError, SyntaxError, ValueError):  # Pillow raises any of them for a damaged file
        return None
    return image, text


def pixel_digest(image: Image) -> str:
    """SHA-256 of an image's shape and pixels."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def describe_generator(generator: Generator) -> dict[str, object]:
    """What a generator is, as JSON: settings and weights, where it tells them, and packages."""
    facts: dict[str, object] = {"fingerprint": generator.fingerprint}
    settings = getattr(generator, "settings", None)
    if is_dataclass(settings) and not isinstance(settings, type):
        facts["settings"] = asdict(settings)
    weights = getattr(generator, "weights", None)
    if isinstance(weights, str):
        facts["weights"] = weights
    facts["versions"] = {name: found for name in PACKAGES if (found := _version(name))}
    return facts


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
