"""Images to train on, with what their captions may say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from generators.idx import read_idx
from generators.training.captions import MID_LEVEL, CaptionStyle, caption
from generators.training.loop import Schedule
from generators.training.presets import PRESETS, Preset
from semantic.arrays import Images, Indices, Vectors
from semantic.attributes import AttributeTable
from semantic.measures import WORDS, measured_words
from semantic.tint import TINTS, tint_images

CLIP, VAE, PIPELINE = "clip", "vae", "stable-diffusion"
"""Directories of the finished networks, of open_clip and of diffusers, in a working folder."""
OWN_TEXTS = 0.5
"""Share of captions that are an image's own text, where it has one."""
VALIDATION = 2000
"""Images kept back from training to choose settings on."""


@dataclass(frozen=True)
class TrainingImages:
    """Images with labels and the words measured on each; every one has several views.

    Grey images ``[n, S, S]`` are seen in each of the `tints`; images in colour ``[n, S, S, 3]`` as
    they are and mirrored, and have none. `groups` are what captions call each image's group, empty
    where they say nothing; `texts` are somebody's own captions, which take turns with made ones.
    `style` says what captions name, and how often; `left_out` are ``[k, 2]`` cells (class, tint)
    that no batch may show.
    """

    images: Images
    labels: Indices
    words: list[tuple[str, ...]]
    style: CaptionStyle = field(default_factory=CaptionStyle)
    left_out: tuple[tuple[int, int], ...] = ()
    tints: tuple[str, ...] = tuple(TINTS)
    groups: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def views(self) -> int:
        """How many views each image has."""
        return len(self.tints) or 2

    @property
    def measured(self) -> tuple[str, ...]:
        """Every measured word that captions may hold."""
        said = {word for words in self.words for word in words}
        return tuple(word for word in WORDS if word in said)

    @property
    def said_of_groups(self) -> tuple[str, ...]:
        """Every word for a group that captions may hold."""
        return self.tints or tuple(dict.fromkeys(filter(None, self.groups)))

    def without(self, classes: Sequence[int], cells: Sequence[tuple[int, int]]) -> TrainingImages:
        """These images without some classes and some cells (class, tint), for zero-shot work."""
        kept = self.rows(np.flatnonzero(~np.isin(self.labels, classes)))
        return replace(kept, style=MID_LEVEL, left_out=tuple(cells))

    def rows(self, chosen: Indices) -> TrainingImages:
        """Some of these images."""
        words = [self.words[i] for i in chosen]
        groups = tuple(self.groups[i] for i in chosen) if self.groups else ()
        texts = tuple(self.texts[i] for i in chosen) if self.texts else ()
        images, labels = self.images[chosen], self.labels[chosen]
        return replace(self, images=images, labels=labels, words=words, groups=groups, texts=texts)

    def seen(self, rows: Indices, views: Indices) -> Vectors:
        """Rows in the given views, ``[len(rows), 3, S, S]`` in [-1, 1]."""
        if self.tints:
            shown = tint_images(self.images[rows], views)
        else:
            shown = self.images[rows]
            shown[views == 1] = shown[views == 1, :, ::-1]
        return shown.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1

    def said(self, row: int, view: int) -> str:
        """What a caption may call the group of an image in a view; empty for nothing."""
        if self.tints:
            return self.tints[view]
        return self.groups[row] if self.groups else ""

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Indices, Indices]:
        """Random rows and random views, ``[size]`` each."""
        rows = rng.integers(len(self.images), size=size)
        views = rng.integers(self.views, size=size)
        for label in sorted({label for label, _ in self.left_out}):
            shown = np.flatnonzero(self.labels[rows] == label)
            allowed = [t for t in range(self.views) if (label, t) not in self.left_out]
            views[shown] = rng.choice(allowed, size=len(shown))
        return rows, views


@dataclass(frozen=True)
class Work:
    """What the stages work with, and the folder that they work in."""

    data: TrainingImages
    table: AttributeTable
    tokenizer: Any
    folder: Path
    seed: int
    preset: Preset = PRESETS["mini-32"]

    def schedule(self, network: str) -> Schedule:
        """How a network is trained."""
        return self.preset.schedules[network]

    def captions(
        self,
        rng: np.random.Generator,
        rows: Indices,
        views: Indices,
    ) -> list[str]:
        """One random caption per row."""
        data = self.data
        made = [
            caption(
                rng, self.table, int(data.labels[r]), data.said(r, v), data.words[r], data.style
            )
            for r, v in zip(rows, views, strict=True)
        ]
        if not data.texts:
            return made
        given = rng.random(len(rows)) < OWN_TEXTS
        pairs = zip(rows, given, made, strict=True)
        return [data.texts[r] if own and data.texts[r] else other for r, own, other in pairs]


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
