"""What real images contribute to curation: how they score, and how close they are to each other.

Also whether CLIP can see their sensitive group at all: a margin over cells that differ in the group
alone means nothing where it cannot.

References stay with the client whose images they describe: they live in memory, are never written
or sent, and only thresholds over at least `Curation.minimum` images leave this package.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from generators.curation.measures import (
    SAME,
    Floats,
    agreement,
    attribute_texts,
    nearest,
    pixel_distance,
)
from generators.requests import Image
from semantic.arrays import ImageRows, Indices, Vectors
from semantic.naming import UNNAMED_GROUPS
from semantic.space import CellScorer, margins

SIGNIFICANCE = 0.05
"""CLIP sees the group if chance alone would agree as often with less than this probability."""

LEAST_FOR_GROUPS = 20
"""Real images of named groups that it takes to test whether CLIP sees the group."""

Labelled = tuple[Image, Indices, Indices]
"""Images ``[n, H, W, 3]`` with their class and group indices ``[n]``."""


@dataclass(frozen=True)
class GroupReading:
    """How well CLIP tells the groups of real images apart, their class given.

    Attributes
    ----------
    n
        Real images of named groups.
    tested
        Whether there was anything to test: enough images, of at least two named groups. The
        following are None otherwise.
    accuracy
        Share of them whose group CLIP reads correctly.
    chance
        Share that would agree if what CLIP reads and what is there were independent: the sum over
        the groups of the product of both frequencies (the expected agreement of Cohen's kappa,
        1960), so that always reading the most frequent group is no skill.
    p_value
        One-sided exact binomial test of `accuracy` against `chance`.
    """

    n: int
    tested: bool = False
    accuracy: float | None = None
    chance: float | None = None
    p_value: float | None = None

    @property
    def visible(self) -> bool:
        """Whether margins may compare groups: true unless the test has shown no skill."""
        return self.p_value is None or self.p_value < SIGNIFICANCE

    def to_json(self) -> dict[str, float | int | bool | None]:
        """As JSON."""
        return {**asdict(self), "visible": self.visible}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Real images that no generator or client was trained on: the chance level of `memorised`.

    `distances` are cosine distances to the nearest training image.
    """

    distances: Floats
    labels: Indices
    groups: Indices


@dataclass(frozen=True, eq=False)
class References:
    """Real training images as CLIP sees them.

    Attributes
    ----------
    embeddings
        ``[n, d]``, unit vectors.
    labels, groups
        ``[n]`` class and group indices.
    margins, class_margins
        ``[n]``, of each image's own cell over all others, and of its class over the others.
    agreements
        ``[n]`` with the attributes of each image's own class; NaN where it has none.
    distances, pixel_distances
        ``[n]``, to the nearest *other* training image in CLIP space, and to the same one pixel by
        pixel; NaN where that is the same image once more, which says nothing about different ones.
    sees_groups
        Whether CLIP can tell the groups apart.
    held_out
        The same distances for real images outside the training set, where there are any.
    """

    embeddings: Vectors
    labels: Indices
    groups: Indices
    margins: Floats
    class_margins: Floats
    agreements: Floats
    distances: Floats
    pixel_distances: Floats
    sees_groups: GroupReading
    held_out: HeldOut | None = None

    @classmethod
    def of(
        cls,
        scorer: CellScorer,
        images: ImageRows,
        labels: Indices,
        groups: Indices,
        held_out: Labelled | None = None,
    ) -> References:
        """Describe real training images, in one pass of CLIP.

        Parameters
        ----------
        images, labels, groups
            ``[n, H, W, 3]``, ``[n]``, ``[n]``: the training images, with indices of the space.
        held_out
            Further real images, which are only measured against.
        """
        embeddings = scorer.embed(images)
        scores = scorer.scores_of(embeddings)
        own, own_class, agreed = (np.full(len(labels), np.nan) for _ in range(3))
        for c, g in np.unique(np.stack([labels, groups], 1), axis=0).tolist():
            rows = (labels == c) & (groups == g)
            own[rows] = margins(scores[rows], c, g, scorer.space.alike(c, g))
            own_class[rows] = class_margins(scores[rows], c)
        for c in np.unique(labels).tolist():
            texts = attribute_texts(scorer, scorer.space.classes[c])
            agreed[labels == c] = agreement(embeddings[labels == c], texts, scorer.encoder.scale)
        distances, pixels = _leave_one_out(embeddings, images)
        names = scorer.space.groups
        return cls(
            embeddings=embeddings,
            labels=labels,
            groups=groups,
            margins=own,
            class_margins=own_class,
            agreements=agreed,
            distances=distances,
            pixel_distances=pixels,
            sees_groups=read_groups(scores, labels, groups, names, LEAST_FOR_GROUPS),
            held_out=None if held_out is None else _measure_held_out(scorer, embeddings, held_out),
        )


def class_margins(scores: Vectors, class_index: int) -> Vectors:
    """Margin of a class over all others, whatever the group, ``[n]`` in nats.

    Infinite if there is no other class.
    """
    classes = np.logaddexp.reduce(scores, axis=2, keepdims=True)
    return margins(classes, class_index, 0)


def read_groups(
    scores: Floats, labels: Indices, groups: Indices, names: tuple[str, ...], minimum: int
) -> GroupReading:
    """Test CLIP's reading of the groups of real images, by log-probabilities of the cells.

    Images of `UNNAMED_GROUPS` are left out; a test needs `minimum` others.
    """
    from scipy.stats import binomtest

    named = np.array([i for i, name in enumerate(names) if name not in UNNAMED_GROUPS], np.int64)
    rows = np.flatnonzero(np.isin(groups, named))
    if len(rows) < minimum or len(np.unique(groups[rows])) < 2:
        return GroupReading(len(rows))
    read = named[scores[rows, labels[rows]][:, named].argmax(1)]
    shares = [
        np.bincount(which, minlength=len(names)) / len(rows) for which in (read, groups[rows])
    ]
    chance = min(float(shares[0] @ shares[1]), 1.0)
    hits = int((read == groups[rows]).sum())
    p_value = float(binomtest(hits, len(rows), chance, "greater").pvalue)
    return GroupReading(len(rows), True, hits / len(rows), chance, p_value)


def _leave_one_out(embeddings: Vectors, images: ImageRows) -> tuple[Floats, Floats]:
    """Distance of each image to its nearest other one, in CLIP space and in pixels."""
    found = nearest(embeddings, embeddings, leave_one_out=True)
    twice = found.distances < SAME
    pixels = [
        pixel_distance(image, images[other])
        for image, other in zip(images, found.indices, strict=True)
    ]
    return np.where(twice, np.nan, found.distances), np.where(twice, np.nan, pixels)


def _measure_held_out(scorer: CellScorer, embeddings: Vectors, held_out: Labelled) -> HeldOut:
    images, labels, groups = held_out
    return HeldOut(nearest(scorer.embed(images), embeddings).distances, labels, groups)
