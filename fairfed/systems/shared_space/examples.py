"""What a client trains on in a shared space: unit vectors of images, captions, synthetic images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fairfed.config.base import required
from fairfed.systems.shared_space.adapter import unit
from fairfed.systems.shared_space.classes import class_vectors, positions, synthetic
from fairfed.systems.shared_space.embeddings import (
    CAPTIONS,
    IMAGES,
    caption_embeddings,
    centre_of,
    centre_of_classes,
    image_embeddings,
    telling,
)
from fairfed.systems.shared_space.sites import Rows, SharedSite
from fairfed.systems.shared_space.variants import Variant


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows to train on: real ones, synthetic images, class descriptions, in this order."""

    # ``[n, d]``, then ``[n]`` each: unit vectors, classes, groups, and which are texts
    embeddings: Tensor
    labels: Tensor
    groups: Tensor
    texts: Tensor
    competing: Tensor  # ``[n, C]``: the classes among which each row shall be recognised
    # Real images and captions, and synthetic images
    n_real: int
    n_synthetic: int = 0

    @property
    def sources(self) -> Tensor:
        """``[n]``: a number for each class, and another for each class's description."""
        described = torch.arange(len(self.labels)) >= self.n_real + self.n_synthetic
        return self.labels + described * self.competing.shape[1]

    def plus(self, embeddings: Tensor, labels: Tensor, competing: Tensor, texts: bool) -> Examples:
        """These real rows, then descriptions (texts) or synthetic images; `competing` is of all."""
        return Examples(
            torch.cat([self.embeddings, embeddings]),
            torch.cat([self.labels, labels]),
            torch.cat([self.groups, torch.zeros_like(labels)]),
            torch.cat([self.texts, torch.full_like(labels, texts, dtype=torch.bool)]),
            competing,
            self.n_real,
            0 if texts else len(labels),
        )


def training_examples(
    site: SharedSite, variant: Variant, knows: bool, sent: Mapping[str, object]
) -> Examples:
    """What a client trains on in a round.

    `knows` says whether the class that arrives, if one does, is known by now; `sent` are the
    request's settings, with the modalities' centres.
    """
    study, own, names = site.place.study, site.own, site.table.classes
    missing, arriving = positions(study, names)
    classes, rows = own.classes, own.rows
    served = [c for c in range(len(names)) if knows or c not in arriving]
    if own.kind == "text":
        # Captions of a few classes alone teach nothing of how to tell these from all others.
        rows = rows if variant.captions else rows[:0]
        found = _real(site, rows, served, sent)
        return _and_described(site, found, [c for c in served if c not in classes], sent)
    if variant.everything and knows:
        extra = missing if study.arrival is None else arriving
        classes = (*classes, *extra)
        rows = _with(site, rows, own.held_out, extra)
    found = _real(site, rows, classes, sent)
    if variant.synthesises and knows:
        return _and_synthetic(site, found, arriving, sent)
    return _and_described(site, found, served, sent) if variant.anchored else found


def captioned(site: SharedSite, rows: Rows) -> Rows:
    """Those of the rows whose captions are trained on."""
    return telling(site, rows) if required(site.place.study.shared).telling_captions else rows


def _with(site: SharedSite, rows: Rows, held_out: Rows, classes: tuple[int, ...]) -> Rows:
    """The rows, and those held out of some classes."""
    chosen = held_out[np.isin(site.table.labels[held_out], classes)]
    return np.sort(np.concatenate([rows, chosen]))


def _real(
    site: SharedSite, rows: Rows, classes: Sequence[int], sent: Mapping[str, object]
) -> Examples:
    """Images, then captions, as the client has them, among these classes."""
    table, own, place = site.table, site.own, site.place
    pictured, written = (rows if own.kind != "text" else rows[:0]), rows[:0]
    if own.kind != "images":
        written = captioned(site, rows)
    parts = [
        unit(image_embeddings(site, pictured), centre_of(sent, IMAGES, place)),
        unit(caption_embeddings(site, written), centre_of(sent, CAPTIONS, place)),
    ]
    labels = [torch.from_numpy(table.labels[part]) for part in (pictured, written)]
    groups = [torch.from_numpy(table.groups[part]) for part in (pictured, written)]
    texts = torch.arange(len(pictured) + len(written)) >= len(pictured)
    among = _among(site, classes, len(texts))
    return Examples(
        torch.cat(parts), torch.cat(labels), torch.cat(groups), texts, among, len(texts)
    )


def _among(site: SharedSite, classes: Sequence[int], rows: int) -> Tensor:
    """``[rows, C]``, True for these classes."""
    found = torch.zeros(rows, len(site.table.classes), dtype=torch.bool)
    found[:, list(classes)] = True
    return found


def _and_described(
    site: SharedSite, real: Examples, classes: list[int], sent: Mapping[str, object]
) -> Examples:
    """Descriptions of classes besides: everybody knows them, and has them to tell classes apart.

    They are what the class vectors are; in training, every copy has its own noise.
    """
    if not len(real.labels):
        return real
    copies = required(site.place.study.shared).anchors
    vectors = unit(class_vectors(site.place), centre_of_classes(sent, site.place))
    labels = torch.tensor(classes, dtype=torch.int64).repeat_interleave(copies)
    every = real.competing.any(0).nonzero().flatten().tolist()
    among = torch.cat([real.competing, _among(site, [*every, *classes], len(labels))])
    return real.plus(vectors[labels], labels, among, texts=True)


def _and_synthetic(
    site: SharedSite, real: Examples, arriving: tuple[int, ...], sent: Mapping[str, object]
) -> Examples:
    """Synthetic images of the new class and of the client's own ones besides.

    Were only the new class synthetic, whatever looks synthetic would be of it.
    """
    classes = (*site.own.classes, *arriving)
    made = {label: synthetic(site.place, label) for label in classes}
    centre = centre_of(sent, IMAGES, site.place)
    if centre is not None:
        centre = centre + _shift(site, made)
    embeddings = torch.cat([made[label] for label in classes])
    labels = torch.tensor([label for label in classes for _ in made[label]])
    among = _among(site, classes, real.n_real + len(labels))
    return real.plus(unit(embeddings, centre), labels, among, texts=False)


def _shift(site: SharedSite, made: Mapping[int, Tensor]) -> Tensor:
    """How far synthetic images lie from real ones, ``[d]``: mean over the client's own classes.

    Synthetic images are a modality of their own. Taken class by class, the shift does not depend on
    which classes the client has, and needs nobody else's images.
    """
    own = site.own
    real = image_embeddings(site, own.rows)
    labels = torch.from_numpy(site.table.labels[own.rows])
    apart = [made[c].mean(0) - real[labels == c].mean(0) for c in labels.unique().tolist()]
    return torch.stack(apart).mean(0)
