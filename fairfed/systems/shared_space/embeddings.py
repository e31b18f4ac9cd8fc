"""Embeddings of a site's images and captions, made once on its machine; the modalities' centres.

CLIP keeps images and texts in different parts of its space (Liang et al. 2022, "Mind the gap",
arXiv 2203.02053). Subtracting each modality's mean brings them together, if both means are over the
same classes: so captions count where the image is there as well, and not those of clients that have
captions of the missing classes alone.

The means come from noised sums that clients release once: a client that is asked again sends what
it sent (`fairfed.sites.dp_release`), and the server keeps the merged sums in the run directory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from flwr.app import Context, RecordDict
from torch import Tensor

from fairfed.config.base import required
from fairfed.sites import dp_release
from fairfed.sites.workplace import Workplace
from fairfed.systems.shared_space.classes import embed_texts, held_vectors
from fairfed.systems.shared_space.sites import Rows, SharedSite
from generators.training.captions import CaptionStyle, caption
from semantic.measures import WORDS, measured_words
from semantic.naming import CROSSED, UNNAMED_GROUPS
from semantic.privacy import Guarantee
from semantic.prototypes import sum_prototypes
from semantic.release import NoisedPrototypes, merge_prototypes

_CAPTIONS = 42
IMAGES, CAPTIONS = "images", "captions"
"""What is summed: embeddings of images, and of captions whose images are there, too."""
KEY = "shared-release"


def image_embeddings(site: SharedSite, rows: Rows) -> Tensor:
    """CLIP embeddings of images ``[n, d]``."""
    return site.place.kept(
        ("images", site.index, rows.tobytes()),
        lambda: site.place.encoder.embed_images(site.table.images[rows]),
    )


def caption_embeddings(site: SharedSite, rows: Rows) -> Tensor:
    """CLIP embeddings of the rows' captions ``[n, d]``."""
    return site.place.kept(
        ("captions", site.index, rows.tobytes()),
        lambda: embed_texts(site.place.encoder, captions(site, rows)),
    )


def captions(site: SharedSite, rows: Rows) -> list[str]:
    """What somebody who saw each image wrote of it: class or not, attributes, tint, shape.

    A row's caption depends on the seed and the row alone.
    """
    table, known = site.table, site.place.space.table
    words = measured_words(table.images[rows])
    numbers = rows if table.rows is None else table.rows[rows]
    found = []
    for row, number, own in zip(rows.tolist(), numbers.tolist(), words, strict=True):
        rng = np.random.default_rng([site.place.study.seed, _CAPTIONS, number])
        label = known.row(table.classes[int(table.labels[row])])
        values = table.group_names[int(table.groups[row])].split(CROSSED)
        said = " ".join(value for value in values if value not in UNNAMED_GROUPS)
        text = caption(rng, known, label, said, own, CaptionStyle())
        found.append(" ".join(text.split()))
    return found


def telling(site: SharedSite, rows: Rows) -> Rows:
    """The rows whose captions hold an attribute of the table or a measured property."""

    def make() -> npt.NDArray[np.bool_]:
        words = "|".join(map(re.escape, (*site.place.space.table.attributes, *WORDS)))
        held = re.compile(rf"(?<!\w)({words})(?!\w)")
        return np.array([held.search(text) is not None for text in captions(site, rows)], np.bool_)

    return rows[site.place.kept(("telling", site.index, rows.tobytes()), make)]


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
    noised = sums.release(
        shared.epsilon / paired, shared.delta / paired, study.conditioning.minimum
    )
    return replace(noised, guarantee=Guarantee(shared.epsilon, shared.delta))


def merge(answers: Iterable[RecordDict]) -> NoisedPrototypes:
    """The sums of all clients; different CLIP models are refused."""
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
