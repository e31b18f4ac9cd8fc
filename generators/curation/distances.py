"""Distances between images: cosine distance in CLIP space, and pixel by pixel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from generators.requests import Image

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

CHUNK = 1024
SAME = 1e-6
"""Two images closer than this in cosine distance are one image that is there twice."""


class Nearest(NamedTuple):
    """Nearest image of each query, ``[n]``: cosine distance (0 to 2, infinite if none), index."""

    distances: Floats
    indices: Indices


def nearest(
    queries: npt.NDArray[np.float32],
    among: npt.NDArray[np.float32],
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


def mean_pairwise(embeddings: npt.NDArray[np.float32]) -> float | None:
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
    def embeddings(self) -> npt.NDArray[np.float32]:
        """``[n, d]``; no columns where nothing was embedded."""
        return self._room[: len(self._images)]

    def add(self, image: Image, embedding: npt.NDArray[np.float32]) -> None:
        """Accept an image; the room for embeddings doubles where it is full."""
        n = len(self._images)
        if n == len(self._room):
            room = np.zeros((max(64, 2 * n), len(embedding)), np.float32)
            if n:
                room[:n] = self._room
            self._room = room
        self._room[n] = embedding
        self._images.append(image)

    def holds_near(
        self, image: Image, embedding: npt.NDArray[np.float32], clip: float, pixel: float
    ) -> bool:
        """Whether one of the images is nearer than both limits."""
        if not self._images:
            return False
        near = np.flatnonzero(1 - self.embeddings @ embedding < clip)
        return any(pixel_distance(image, self._images[i]) < pixel for i in near)
