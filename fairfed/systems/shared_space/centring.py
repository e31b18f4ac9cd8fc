"""The centres of the modalities, from noised sums that clients release once.

CLIP keeps images and texts in different parts of its space (Liang et al. 2022, "Mind the gap",
arXiv 2203.02053). Subtracting each modality's mean brings them together, if both means are over the
same classes: so captions count where the image is there as well, and not those of clients that have
captions of the missing classes alone.

A client that is asked again sends what it sent (`fairfed.sites.dp_release`); the server keeps the
merged sums in the run directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from flwr.app import Context, RecordDict
from torch import Tensor

from fairfed.config.base import required
from fairfed.sites import dp_release
from fairfed.sites.workplace import Workplace
from fairfed.systems.shared_space.data import caption_embeddings, image_embeddings
from fairfed.systems.shared_space.sites import SharedSite
from fairfed.systems.shared_space.vectors import held_vectors
from semantic.privacy import Guarantee
from semantic.prototypes import sum_prototypes
from semantic.release import NoisedPrototypes, merge_prototypes

IMAGES, CAPTIONS = "images", "captions"
"""What is summed: embeddings of images, and of captions whose images are there, too."""
KEY = "shared-release"


def release(site: SharedSite, context: Context) -> RecordDict:
    """A client's noised sums, the same ones whenever it is asked; its state keeps them."""
    return dp_release.kept(context, KEY, lambda: _noised(site))


def _noised(site: SharedSite) -> NoisedPrototypes:
    """A fresh release of the client's sums over all its training rows of each modality.

    It states what it guarantees a row: the whole ε and δ, also where two sums share them.
    """
    own, study, clip = site.own, site.place.study, site.place.encoder
    shared = required(study.shared)
    none = own.rows[:0]
    pictured = image_embeddings(site, own.rows if own.kind != "text" else none)
    written = caption_embeddings(site, own.rows if own.kind == "both" else none)
    which = np.repeat([0, 1], [len(pictured), len(written)])
    rows = torch.cat([pictured, written]).numpy()
    sums = sum_prototypes(rows, which, (IMAGES, CAPTIONS), encoder=clip.fingerprint)
    # A row that is in both sums counts twice: each sum has half the budget, and both have it all.
    paired = 2 if own.kind == "both" else 1
    noised = sums.release(shared.epsilon / paired, shared.delta / paired, study.augment.minimum)
    return replace(noised, guarantee=Guarantee(shared.epsilon, shared.delta))


def merge(answers: Iterable[RecordDict]) -> NoisedPrototypes:
    """The sums of all clients.

    Raises
    ------
    InputError
        If clients use different CLIP models.
    """
    return merge_prototypes(map(dp_release.read, answers))


def means(merged: NoisedPrototypes) -> dict[str, list[float]]:
    """Mean embedding by modality; a modality that everybody withheld is not in it."""
    rows = zip(merged.names, merged.counts, merged.sums, strict=True)
    return {name: (total / count).tolist() for name, count, total in rows}


def is_centred(sent: Mapping[str, object], place: Workplace) -> bool:
    """Whether anything is centred, by what a request says of the modalities' centres.

    Nothing is where every client withheld its sum of images: with classes moved and images not,
    the gap would be wider than CLIP's own.
    """
    return required(place.study.shared).centre and f"centre-{IMAGES}" in sent


def centre_of_classes(sent: Mapping[str, object], place: Workplace) -> Tensor | None:
    """Mean vector ``[d]`` of the classes that some client has images of; None without centring."""
    if not is_centred(sent, place):
        return None
    return held_vectors(sent, place).mean(0)


def centre_of(sent: Mapping[str, object], modality: str, place: Workplace) -> Tensor | None:
    """What a request says of a modality's centre ``[d]``; None without centring.

    Where nobody has captions beside images, captions have the centre of the classes' texts.
    """
    if not is_centred(sent, place):
        return None
    found = sent.get(f"centre-{modality}")
    if found is None:
        return centre_of_classes(sent, place)
    return torch.tensor(found, dtype=torch.float32)
