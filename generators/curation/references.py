"""What real images contribute to curation: how they score, and how close they are to each other.

References stay with the client whose images they describe: they live in memory, are never written
or sent, and only thresholds over at least `Curation.minimum` images leave this package.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from generators.curation.attributes import agreement, attribute_texts
from generators.curation.distances import SAME, Floats, Indices, nearest, pixel_distance
from generators.curation.groups import GroupReading, read_groups
from generators.requests import Image
from semantic.space import CellScorer, margins

LEAST_FOR_GROUPS = 20
"""Real images of named groups that it takes to test whether CLIP sees the group."""

Labelled = tuple[Image, Indices, Indices]
"""Images ``[n, H, W, 3]`` with their class and group indices ``[n]``."""


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

    embeddings: npt.NDArray[np.float32]
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
        images: Image,
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


def class_margins(scores: npt.NDArray[np.float32], class_index: int) -> npt.NDArray[np.float32]:
    """Margin of a class over all others, whatever the group, ``[n]`` in nats.

    Infinite if there is no other class.
    """
    classes = np.logaddexp.reduce(scores, axis=2, keepdims=True)
    return margins(classes, class_index, 0)


def _leave_one_out(embeddings: npt.NDArray[np.float32], images: Image) -> tuple[Floats, Floats]:
    """Distance of each image to its nearest other one, in CLIP space and in pixels."""
    found = nearest(embeddings, embeddings, leave_one_out=True)
    twice = found.distances < SAME
    pixels = [
        pixel_distance(image, images[other])
        for image, other in zip(images, found.indices, strict=True)
    ]
    return np.where(twice, np.nan, found.distances), np.where(twice, np.nan, pixels)


def _measure_held_out(
    scorer: CellScorer, embeddings: npt.NDArray[np.float32], held_out: Labelled
) -> HeldOut:
    images, labels, groups = held_out
    return HeldOut(nearest(scorer.embed(images), embeddings).distances, labels, groups)
