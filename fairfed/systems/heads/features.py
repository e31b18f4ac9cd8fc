"""Features on which heads are solved: CLIP's embeddings, or random ReLU features of them.

Rahimi & Recht 2008 (random kitchen sinks): ``max(0, x A + b)`` with a fixed normal draw, here from
the study's seed, so that every site has the same without a message.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from fairfed.config.base import required
from fairfed.sites.site import Rows, Site
from fairfed.sites.workplace import Workplace
from fairfed.systems.heads.sums import Floats
from semantic.release import CLIP, clipped

DRAW = 301
"""What random numbers are drawn for."""
OFFSET = 0.5
"""Standard deviation of b, where that of ``x A`` is 1 for a unit vector x."""


def size_of(place: Workplace) -> int:
    """How many features there are."""
    return required(place.study.heads).features or place.encoder.dimension


def features(place: Workplace, embeddings: NDArray[np.floating]) -> Floats:
    """Features ``[n, d]`` of embeddings, each of which is clipped to norm 1 first.

    So no row changes a sum by more than is known beforehand.
    """
    rows = clipped(np.asarray(embeddings, np.float64), CLIP)
    wanted = required(place.study.heads).features
    if not wanted:
        return rows
    draw = np.random.default_rng((DRAW, place.study.seed))
    factors = draw.normal(size=(rows.shape[1], wanted))
    return np.asarray(np.maximum(rows @ factors + OFFSET * draw.normal(size=wanted), 0))


def site_features(site: Site, rows: Rows) -> Floats:
    """Those of a site's images."""
    return features(site.place, site.embeddings(rows).numpy())


def text_features(place: Workplace) -> Floats:
    """Those of the classes' text embeddings, ``[C, d]``."""
    return features(place, place.zero_shot_head().weight.detach().numpy())


def parts(site: Site) -> tuple[Rows, Rows]:
    """Training rows to solve from, and to choose a strength on; none whose count is not said.

    An image's pixels and the seed say which it is of, whoever holds it. A part is looked at on its
    own: a cell that is large enough together may be too small in one of them.
    """
    own = site.rows.train
    held = site.place.kept(("held for heads", site.split, site.name), lambda: _held(site))
    return site.said_rows(own[~held]), site.said_rows(own[held])


def _held(site: Site) -> NDArray[np.bool_]:
    """Which training rows are for validation: every message asks, and it takes all pixels."""
    study, images = site.study, site.images.images
    share, key = required(study.heads).validation, study.seed.to_bytes(8, "big")
    return np.array([_uniform(images[row], key) < share for row in site.rows.train], np.bool_)


def _uniform(image: NDArray[np.uint8], key: bytes) -> float:
    """A number in [0, 1) that an image always has."""
    digest = hashlib.blake2b(image.tobytes(), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "big") / 2**64
