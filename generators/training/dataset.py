"""Images for the bundled weights: Fashion-MNIST's training images that no client holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from generators.idx import read_idx
from generators.training.captions import MID_LEVEL, CaptionStyle, caption
from semantic.arrays import Images, Indices, Vectors
from semantic.attributes import AttributeTable
from semantic.measures import measured_words
from semantic.tint import TINTS, tint_images

VALIDATION = 2000
"""Images kept back from training to choose settings on."""


@dataclass(frozen=True)
class TrainingImages:
    """Grey images ``[n, 32, 32]`` with labels and the words measured on each.

    `style` says what their captions name, and how often; `left_out` are ``[k, 2]`` cells (class,
    tint) that no batch may show.
    """

    images: Images
    labels: Indices
    words: list[tuple[str, ...]]
    style: CaptionStyle = field(default_factory=CaptionStyle)
    left_out: tuple[tuple[int, int], ...] = ()

    def without(self, classes: Sequence[int], cells: Sequence[tuple[int, int]]) -> TrainingImages:
        """These images without some classes and some cells (class, tint), for zero-shot work."""
        kept = self.rows(np.flatnonzero(~np.isin(self.labels, classes)))
        return replace(kept, style=MID_LEVEL, left_out=tuple(cells))

    def rows(self, chosen: Indices) -> TrainingImages:
        """Some of these images."""
        words = [self.words[i] for i in chosen]
        return replace(self, images=self.images[chosen], labels=self.labels[chosen], words=words)

    def tinted(self, rows: Indices, tints: Indices) -> Vectors:
        """Rows in the given tints, ``[len(rows), 3, 32, 32]`` in [-1, 1]."""
        shaded = tint_images(self.images[rows], tints)
        return shaded.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Indices, Indices]:
        """Random rows and random tints, ``[size]`` each."""
        rows = rng.integers(len(self.images), size=size)
        tints = rng.integers(len(TINTS), size=size)
        for label in sorted({label for label, _ in self.left_out}):
            shown = np.flatnonzero(self.labels[rows] == label)
            allowed = [t for t in range(len(TINTS)) if (label, t) not in self.left_out]
            tints[shown] = rng.choice(allowed, size=len(shown))
        return rows, tints


@dataclass(frozen=True)
class Work:
    """What the stages work with, and the folder that they work in."""

    data: TrainingImages
    table: AttributeTable
    tokenizer: Any
    folder: Path
    seed: int

    def captions(
        self,
        rng: np.random.Generator,
        rows: Indices,
        tints: Indices,
    ) -> list[str]:
        """One random caption per row."""
        data, names = self.data, tuple(TINTS)
        return [
            caption(rng, self.table, int(data.labels[r]), names[t], data.words[r], data.style)
            for r, t in zip(rows, tints, strict=True)
        ]


def load_training_images(folder: Path, exclude: Path) -> tuple[TrainingImages, TrainingImages]:
    """Training and validation images, from Fashion-MNIST's IDX files in a folder.

    The training rows of the bundled data (npz with `index` and `test`) are left out.
    """
    images = read_idx(folder / "train-images-idx3-ubyte.gz")
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz").astype(np.int64)
    with np.load(exclude) as bundled:
        held = bundled["index"][~bundled["test"]]
    free = np.setdiff1d(np.arange(len(images)), held)
    rows = np.random.default_rng(0).permutation(free)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    words = measured_words(images)

    def pick(chosen: Indices) -> TrainingImages:
        return TrainingImages(padded[chosen], labels[chosen], [words[i] for i in chosen])

    return pick(rows[VALIDATION:]), pick(rows[:VALIDATION])
