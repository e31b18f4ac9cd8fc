"""Images for the bundled weights: Fashion-MNIST's training images that no client holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from generators.idx import read_idx
from semantic.measures import measured_words
from semantic.tint import TINTS, tint_images

VALIDATION = 2000
"""Images kept back from training to choose settings on."""


@dataclass(frozen=True)
class TrainingImages:
    """Grey images with labels and measured words.

    Attributes
    ----------
    images
        ``[n, 32, 32]``, 0 to 255.
    labels
        ``[n]`` class indices.
    words
        For each image, the words measured on it.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    words: list[tuple[str, ...]]

    def tinted(
        self, rows: npt.NDArray[np.int64], tints: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Rows in the given tints, ``[len(rows), 3, 32, 32]`` in [-1, 1]."""
        shaded = tint_images(self.images[rows], tints)
        return shaded.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1

    def batch(
        self, rng: np.random.Generator, size: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Random rows and random tints, ``[size]`` each."""
        return rng.integers(len(self.images), size=size), rng.integers(len(TINTS), size=size)


def load_training_images(folder: Path, exclude: Path) -> tuple[TrainingImages, TrainingImages]:
    """Training and validation images, disjoint from those of the bundled data.

    Parameters
    ----------
    folder
        Holds Fashion-MNIST's IDX files.
    exclude
        The bundled data (npz with `index` and `test`): its training rows are left out.
    """
    images = read_idx(folder / "train-images-idx3-ubyte.gz")
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz").astype(np.int64)
    with np.load(exclude) as bundled:
        held = bundled["index"][~bundled["test"]]
    free = np.setdiff1d(np.arange(len(images)), held)
    rows = np.random.default_rng(0).permutation(free)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    words = measured_words(images)

    def pick(chosen: npt.NDArray[np.int64]) -> TrainingImages:
        return TrainingImages(padded[chosen], labels[chosen], [words[i] for i in chosen])

    return pick(rows[VALIDATION:]), pick(rows[:VALIDATION])
