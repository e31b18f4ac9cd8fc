"""What a peer's data is like: its semantic prototype and label histogram, and how peers cluster.

Peers see of each other only profiles made from noised sums (`semantic.release`); what is computed
from those costs no further privacy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_CLUSTERS = 8
"""Most clusters that the silhouette is asked about."""


@dataclass(frozen=True, eq=False)
class Profile:
    """What one peer's data is like."""

    # ``[dimension]``, the mean of its classes' CLIP prototypes (unit vectors), weighted by share
    prototype: NDArray[np.float32]
    # ``[n_classes]``, shares of the classes; they sum to 1. Both are 0 where all were withheld.
    histogram: NDArray[np.float32]


def profile(
    names: Sequence[str],
    counts: NDArray[np.floating | np.integer],
    sums: NDArray[np.float64],
    classes: Sequence[str],
) -> Profile:
    """Profile of a peer from (noised) counts ``[n]`` and sums ``[n, dimension]`` by class.

    The names are a subset of `classes`, the label space in order; the others count 0. A class with
    a count of 0 or less is left out.
    """
    histogram = np.zeros(len(classes))
    prototype = np.zeros(sums.shape[1])
    total = float(np.maximum(counts, 0).sum())
    for name, count, row in zip(names, counts, sums, strict=True):
        norm = float(np.linalg.norm(row))
        if count > 0 and norm > 0:
            histogram[classes.index(name)] = count / total
            prototype += count / total * row / norm
    return Profile(prototype.astype(np.float32), histogram.astype(np.float32))


def drift(before: Profile, now: Profile) -> float:
    """How far a profile has moved, 0 to 1.

    The larger of the total variation of the histograms and the cosine distance (at most 1) of the
    prototypes.
    """
    variation = 0.5 * float(np.abs(before.histogram - now.histogram).sum())
    norms = float(np.linalg.norm(before.prototype) * np.linalg.norm(now.prototype))
    cosine = float(before.prototype @ now.prototype) / norms if norms > 0 else 1.0
    return max(variation, min(1.0, 1 - cosine))


def cluster_peers(
    profiles: Mapping[int, Profile], clusters: int, histogram: float
) -> dict[int, int]:
    """Divide peers into clusters whose data are alike (Ward's agglomeration, scikit-learn).

    0 clusters: the number with the best silhouette, from 2 to 8. `histogram` is its weight beside
    the prototype. Clusters are numbered by their lowest peer: the same profiles give the same
    clusters, in whatever order.
    """
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.metrics import silhouette_score

    peers = sorted(profiles)
    points = _features([profiles[peer] for peer in peers], histogram)

    def divide(count: int) -> NDArray[np.int64]:
        if count < 2:
            return np.zeros(len(peers), np.int64)
        found = AgglomerativeClustering(n_clusters=count, linkage="ward").fit_predict(points)
        return np.asarray(found, np.int64)

    if clusters:
        labels = divide(min(clusters, len(peers)))
    else:
        tried = [divide(count) for count in range(2, min(MOST_CLUSTERS, len(peers) - 1) + 1)]
        scores = [silhouette_score(points, labels) for labels in tried]
        labels = tried[int(np.argmax(scores))] if tried else divide(1)
    order = list(dict.fromkeys(labels.tolist()))
    return {peer: order.index(label) for peer, label in zip(peers, labels.tolist(), strict=True)}


def nearest_cluster(
    visitor: Profile,
    profiles: Mapping[int, Profile],
    plan: Mapping[int, int],
    histogram: float,
) -> int:
    """The cluster whose mean profile is the nearest to a visitor's; of equals the lowest number.

    At least one peer is both in the plan and among the profiles.
    """
    peers = sorted(set(profiles) & set(plan))
    points = _features([*(profiles[peer] for peer in peers), visitor], histogram)
    own = np.array([plan[peer] for peer in peers])
    numbers = sorted(set(own.tolist()))
    distances = [np.linalg.norm(points[:-1][own == c].mean(0) - points[-1]) for c in numbers]
    return int(numbers[int(np.argmin(distances))])


def _features(profiles: Sequence[Profile], histogram: float) -> NDArray[np.float64]:
    """Points to cluster: both parts centred (CLIP's have a common direction) and of one scale."""
    prototypes = _scaled(np.stack([p.prototype for p in profiles]).astype(np.float64))
    histograms = _scaled(np.stack([p.histogram for p in profiles]).astype(np.float64))
    return np.concatenate([prototypes, histogram * histograms], axis=1)


def _scaled(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows with mean 0 and a mean squared norm of 1 (0 where they are all equal)."""
    centred: NDArray[np.float64] = rows - rows.mean(0)
    scale = float(np.sqrt((centred**2).sum(1).mean()))
    return centred / scale if scale > 0 else centred
