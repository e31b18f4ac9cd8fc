"""Fidelity and diversity from nearest neighbours: precision, recall, density, coverage.

Precision and recall are the *improved* ones of Kynkäänniemi et al. 2019 (arXiv:1904.06991), density
and coverage those of Naeem et al. 2020 (arXiv:2002.09797). A set's manifold is the union of the
balls around its points that reach to the k-th nearest other point.

Conventions
-----------
A ball contains its border (as in Kynkäänniemi's program; Naeem's leaves it out, which differs for
data with ties only). A measure with fewer than 2 k images of either kind is refused: a radius that
spans most of a set says nothing about its shape.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.errors import InputError
from evaluation.intervals import wilson_interval
from evaluation.quality.embedded import check_pair, nearest_distances
from evaluation.quality.measured import Measured, share, too_few
from evaluation.rates import FloatArray

NEIGHBOURS = 5
NAMES = ("precision", "recall", "density", "coverage")
CHUNK_MIB = 256

# Squared distances come from dot products, so equal points may seem this far apart, relative to
# their length.
ROUNDING = 1e-7


def manifold_measures(
    real: ArrayLike, synthetic: ArrayLike, k: int = NEIGHBOURS
) -> dict[str, Measured]:
    """Precision, recall, density and coverage of synthetic images.

    Parameters
    ----------
    real, synthetic : array_like, shapes (n_real, d) and (n_synthetic, d)
        Embeddings of one encoder.
    k : int
        Neighbours that span a ball, at least 1.

    Returns
    -------
    dict of str to Measured
        ``precision``: share of the synthetic images inside the real manifold. ``recall``: share of
        the real images inside the synthetic manifold. Both in [0, 1], with Wilson intervals that
        take the manifold as given. ``density``: real balls around a synthetic image over k, at
        least 0, 1 expected. ``coverage``: share of the real balls that hold a synthetic image, in
        [0, 1]; its expectation for equal distributions depends on n (`expected_coverage`).

    Raises
    ------
    InputError
        If k is below 1 or the embeddings do not fit.
    """
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}")
    a, b = check_pair(real, synthetic)
    sizes = len(a), len(b)
    if reason := too_few(*sizes, 2 * k):
        return {name: Measured(None, *sizes, reason=reason) for name in NAMES}
    balls_around, covered, recalled = _count_hits(a, b, k)
    precise, found = int((balls_around > 0).sum()), int(recalled.sum())
    return {
        "precision": share(wilson_interval(precise, len(b)), *sizes, None),
        "recall": share(wilson_interval(found, len(a)), *sizes, None),
        "density": Measured(float(balls_around.mean()) / k, *sizes, expected=1.0),
        "coverage": Measured(float(covered.mean()), *sizes, expected=expected_coverage(*sizes, k)),
    }


def expected_coverage(n_real: int, n_synthetic: int, k: int = NEIGHBOURS) -> float:
    """Coverage to expect of new draws from the real distribution (Naeem et al. 2020, lemma 2).

    A ball stays empty if the k nearest of all other points are real ones.

    Parameters
    ----------
    n_real, n_synthetic : int
        Images of either kind; ``n_real > k``.
    k : int
        Neighbours that span a ball.
    """
    return 1 - comb(n_real - 1, k) / comb(n_real + n_synthetic - 1, k)


def _count_hits(
    real: FloatArray, synthetic: FloatArray, k: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Real balls around each synthetic image; which real balls are hit; which reals are inside."""
    from sklearn.metrics import pairwise_distances_chunked

    slack = ROUNDING * float(np.sqrt((real**2).sum(axis=1).mean()))
    real_radii, synthetic_radii = (nearest_distances(x, k=k) + slack for x in (real, synthetic))
    balls_around = np.zeros(len(synthetic), dtype=np.int64)
    covered, recalled = [], []
    start = 0
    for rows in pairwise_distances_chunked(real, synthetic, working_memory=CHUNK_MIB):
        hits = rows <= real_radii[start : start + len(rows), None]
        balls_around += hits.sum(axis=0)
        covered.append(hits.any(axis=1))
        recalled.append((rows <= synthetic_radii).any(axis=1))
        start += len(rows)
    return balls_around, np.concatenate(covered), np.concatenate(recalled)
