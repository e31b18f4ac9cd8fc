"""Embedded images with their cells: what every measure of synthetic data is computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.errors import InputError
from evaluation.rates import FloatArray

Names = Sequence[str] | NDArray[np.str_]

ONE_GROUP = "all"
"""Group of every image where there is no sensitive feature; it stays out of names of cells."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings of a set of images and the cell of each.

    Parameters
    ----------
    vectors : ndarray of float, shape (n, d)
        Embeddings of any encoder; n may be 0.
    classes : sequence of str, length n
        Class of each image.
    groups : sequence of str, length n, optional
        Group of each image; by default all are one group.

    Raises
    ------
    InputError
        If a length or a shape is wrong, or an embedding is not finite.
    """

    vectors: FloatArray
    classes: NDArray[np.str_]
    groups: NDArray[np.str_]

    def __init__(self, vectors: ArrayLike, classes: Names, groups: Names | None = None) -> None:
        checked = check_vectors("embeddings", vectors)
        n = len(checked)
        named = {"classes": classes, "groups": [ONE_GROUP] * n if groups is None else groups}
        object.__setattr__(self, "vectors", checked)
        for name, column in named.items():
            if len(column) != n:
                raise InputError(
                    f"{name}: {len(column)} values for {n} embeddings; give one per image"
                )
            object.__setattr__(self, name, np.asarray(column, dtype=np.str_))

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def cells(self) -> NDArray[np.str_]:
        """Name of each image's cell: the class, or "class × group"; shape ``(n,)``."""
        pairs = zip(self.classes.tolist(), self.groups.tolist(), strict=True)
        return np.asarray([cell_name(*pair) for pair in pairs], dtype=np.str_)

    def take(self, rows: NDArray[Any]) -> Embedded:
        """Return some of the images, by index or by mask."""
        return Embedded(self.vectors[rows], self.classes[rows], self.groups[rows])


def cell_name(class_name: str, group: str) -> str:
    """Name a cell: the class, or "class × group" where there are groups."""
    return class_name if group == ONE_GROUP else f"{class_name} × {group}"


def check_vectors(name: str, vectors: ArrayLike) -> FloatArray:
    """Return finite embeddings as float64 of shape ``(n, d)``, or name the first wrong row."""
    array = np.asarray(vectors, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(f"{name} have shape {array.shape}, expected (images, dimensions)")
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise InputError(f"{name}: row {row} is not finite; leave out images that failed to embed")
    return array


def check_pair(real: ArrayLike, synthetic: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Check two sets of embeddings of one encoder, which therefore have equal dimensions."""
    a, b = check_vectors("real embeddings", real), check_vectors("synthetic embeddings", synthetic)
    if a.shape[1] != b.shape[1]:
        raise InputError(
            f"real embeddings have {a.shape[1]} dimensions, synthetic ones {b.shape[1]}: "
            "use the same encoder for both"
        )
    return a, b


def nearest_distances(
    points: FloatArray, others: FloatArray | None = None, k: int = 1
) -> FloatArray:
    """Distance of each point to the k-th nearest of the others (default: of the other points)."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=k, algorithm="brute")
    search.fit(points if others is None else others)
    distances, _ = search.kneighbors(None if others is None else points)
    found: FloatArray = distances[:, -1]
    return found
