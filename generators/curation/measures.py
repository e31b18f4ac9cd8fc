"""What checks measure: pixels, distances between images, agreement with attributes.

CLIP must see the attributes of a class in its images, whatever it calls the class.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from generators.requests import Image
from semantic.arrays import Indices, Vectors
from semantic.conditioning import UNNAMED_NOUN
from semantic.measures import WORDS
from semantic.space import CellScorer

Floats = npt.NDArray[np.floating]

CHUNK = 1024
SAME = 1e-6
"""Two images closer than this in cosine distance are one image that is there twice."""

BLANK = 6.0
"""An image whose pixels deviate by less (0 to 255) shows nothing."""

BLACK = 8
"""An image without a brighter value (0 to 255) is black."""

NEUTRAL = f"a photo of a {UNNAMED_NOUN}"
"""What an image is compared with: it shows something, and no attribute is named."""


def fault(image: npt.NDArray[Any]) -> str:
    """What makes an array no image, in words; empty for ``[H, W, 3]`` of 8 bits.

    A generator whose arithmetic overflowed may hand on values that are not finite.
    """
    if np.issubdtype(image.dtype, np.inexact) and not np.isfinite(image).all():
        return "values that are not finite"
    if image.dtype != np.uint8:
        return f"values of type {image.dtype} instead of uint8"
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        return f"shape {list(image.shape)} instead of [H, W, 3]"
    return ""


def placeholder(image: npt.NDArray[Any]) -> Image:
    """Black image ``[H, W, 3]`` in place of one that is none."""
    size = image.shape[:2] if image.ndim > 1 and image.size else (1, 1)
    return np.zeros((*size, 3), np.uint8)


def examined(image: npt.NDArray[Any]) -> tuple[Image, str]:
    """The image and no fault, or a black image in its place and what was wrong with it."""
    wrong = fault(image)
    return (placeholder(image), wrong) if wrong else (image, "")


def is_black(image: Image) -> bool:
    """Whether all values are near zero: diffusers' safety checker returns such an image."""
    return bool(image.max() < BLACK)


def is_blank(deviation: float) -> bool:
    """Whether an image of this standard deviation (0 to 255) is nearly one flat colour."""
    return deviation < BLANK


class Nearest(NamedTuple):
    """Nearest image of each query, ``[n]``: cosine distance (0 to 2, infinite if none), index."""

    distances: Floats
    indices: Indices


def nearest(
    queries: Vectors,
    among: Vectors,
    leave_one_out: bool = False,
) -> Nearest:
    """Nearest neighbours of unit embeddings ``[n, d]`` among ``[m, d]``, in CLIP space.

    With `leave_one_out`, `queries` are `among`, and none is its own neighbour.
    """
    distances = np.full(len(queries), np.inf)
    indices = np.zeros(len(queries), np.int64)
    if len(among) <= leave_one_out:
        return Nearest(distances, indices)
    for start in range(0, len(queries), CHUNK):
        similar = queries[start : start + CHUNK] @ among.T
        if leave_one_out:
            own = np.arange(len(similar))
            similar[own, start + own] = -np.inf
        best = similar.argmax(1)
        indices[start : start + CHUNK] = best
        distances[start : start + CHUNK] = 1 - similar[np.arange(len(best)), best]
    return Nearest(np.maximum(distances, 0), indices)


def pixel_distance(one: Image, other: Image) -> float:
    """Root mean squared difference of two images of one shape, 0 to 255."""
    return float(np.sqrt(np.mean((one.astype(np.float64) - other) ** 2)))


def mean_pairwise(embeddings: Vectors) -> float | None:
    """Mean cosine distance over all pairs of ``[n, d]`` unit embeddings; None for fewer than 2.

    The squared length of the sum of unit vectors is n plus twice the sum of the pairs' cosines.
    """
    n = len(embeddings)
    if n < 2:
        return None
    total = embeddings.sum(0, dtype=np.float64)
    return float(1 - (total @ total - n) / (n * (n - 1)))


class Accepted:
    """The accepted images of a cell, in order, from which the next one must differ.

    Near in CLIP space alone is not enough, since two different images may mean the same; nor is
    near pixel by pixel, since two images of one dark shape on white differ in few pixels. Both have
    to hold.
    """

    def __init__(self) -> None:
        self._images: list[Image] = []
        self._room = np.zeros((0, 0), np.float32)

    @property
    def embeddings(self) -> Vectors:
        """``[n, d]``; no columns where nothing was embedded."""
        return self._room[: len(self._images)]

    def add(self, image: Image, embedding: Vectors) -> None:
        """Accept an image; the room for embeddings doubles where it is full."""
        n = len(self._images)
        if n == len(self._room):
            room = np.zeros((max(64, 2 * n), len(embedding)), np.float32)
            if n:
                room[:n] = self._room
            self._room = room
        self._room[n] = embedding
        self._images.append(image)

    def holds_near(self, image: Image, embedding: Vectors, clip: float, pixel: float) -> bool:
        """Whether one of the images is nearer than both limits."""
        if not self._images:
            return False
        near = np.flatnonzero(1 - self.embeddings @ embedding < clip)
        return any(pixel_distance(image, self._images[i]) < pixel for i in near)


def attribute_texts(scorer: CellScorer, class_name: str) -> Vectors:
    """Unit text embeddings of the neutral prompt and of it with each phrase typical of the class.

    ``[1 + n_phrases, dimension]``. Words measured on single images (`semantic.measures`) are left
    out: a class shows one of them or another.
    """
    phrases = [p for p in scorer.space.table.phrases(class_name) if p not in WORDS]
    prompts = [NEUTRAL, *(f"{NEUTRAL}, {phrase}" for phrase in phrases)]
    found: Vectors = scorer.encoder.embed_texts(prompts).numpy()
    return found


def agreement(embeddings: Vectors, texts: Vectors, scale: float) -> Floats:
    """How much CLIP prefers an attribute's prompt to the neutral one, mean over the attributes.

    ``[n]`` in (0, 1) for `embeddings` ``[n, dimension]``, 0.5 where CLIP is indifferent; NaN if the
    class has no attribute. `scale` is CLIP's factor from cosine similarity to logits.
    """
    if len(texts) < 2:
        return np.full(len(embeddings), np.nan)
    logits = scale * (embeddings @ texts.T).astype(np.float64)
    preference: Floats = (1 / (1 + np.exp(logits[:, :1] - logits[:, 1:]))).mean(1)
    return preference
