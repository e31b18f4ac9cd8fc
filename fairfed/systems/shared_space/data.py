"""Embeddings of a site's images and captions, made once on its machine."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fairfed.systems.shared_space.classes import embed_texts
from fairfed.systems.shared_space.holdings import Rows
from fairfed.systems.shared_space.sites import SharedSite
from generators.training.captions import CaptionStyle, caption
from semantic.measures import WORDS, measured_words
from semantic.naming import CROSSED, UNNAMED_GROUPS

_CAPTIONS = 42


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
    told = site.place.kept(("telling", site.index, rows.tobytes()), lambda: _tells(site, rows))
    return rows[told]


def _tells(site: SharedSite, rows: Rows) -> npt.NDArray[np.bool_]:
    words = "|".join(map(re.escape, (*site.place.space.table.attributes, *WORDS)))
    held = re.compile(rf"(?<!\w)({words})(?!\w)")
    return np.array([held.search(text) is not None for text in captions(site, rows)], np.bool_)
