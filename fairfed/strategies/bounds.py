"""The cap and the floor of weights, and the simplex, as pure functions of arrays.

The cap keeps one client from deciding alone, the floor keeps a rule from silencing one: a client
always keeps a part of its share of the real examples. Both bound what a rule asks for, and the
weights between them keep their proportions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MAX_WEIGHT = 0.8
"""Default cap: no client alone decides more than this of a round's model."""
MIN_SHARE = 0.5
"""Default floor, as a part of the client's share of the examples."""
ROUNDING = 1e-12
"""Relative distance from a bound that rounding makes."""


@dataclass(frozen=True)
class Bounds:
    """Between what a rule may move the weight of a client.

    Attributes
    ----------
    max_weight : float
        Cap of every weight, in (0, 1]; 1: none. See :func:`limit`.
    min_share : float
        Floor: the part of ``n_k / sum(n)`` that a client keeps, in [0, 1]. 0: none; 1: weights are
        the shares of examples, whatever the rule.
    """

    max_weight: float = MAX_WEIGHT
    min_share: float = MIN_SHARE


AS_PUBLISHED = Bounds(max_weight=1.0, min_share=0.0)
"""No bounds: a rule is applied exactly as it was published."""


def limit(cap: float, allowed: Mask) -> float:
    """Return the cap that holds: never less than an equal share of the clients that may weigh.

    Fewer clients could not sum to 1 below it: a lone one always has weight 1, two with a cap of 0.4
    have half each.
    """
    return max(cap, 1.0 / max(1, int(np.count_nonzero(allowed))))


def within(asked: Floats, least: Floats, most: float, allowed: Mask) -> Floats:
    """Return ``clip(t asked, least, most)``, with the t for which it sums to 1.

    Whoever is out of bounds on the side that is out by more can only end at that bound: it is
    settled there, and the others share out anew what is left. `asked` ``[K]`` sums to 1, and is
    returned itself if all of it is within the bounds. The floors `least` ``[K]`` sum to 1 at most,
    none above the cap `most`, which is at least 1 over the number of clients allowed. Those
    `allowed` ``[K]`` can take what others lose, in equal parts where all weights left are zero.
    """
    if _inside(asked, least, most):
        return asked
    applied, free = asked, np.ones(len(asked), bool)
    while free.any():
        rest = np.where(free, asked, 0.0)
        if not rest.sum() > 0:
            rest = (allowed & free).astype(np.float64)
        if not rest.sum() > 0:
            break
        left = 1.0 - applied[~free].sum()
        applied = np.where(free, left * (rest / rest.sum()), applied)
        settled = np.where(free, np.clip(applied, least, most), applied)
        surplus = (settled - applied).sum()
        out = settled > applied if surplus > 0 else settled < applied
        if not out.any():
            break
        applied, free = np.where(out, settled, applied), free & ~out
    return np.asarray(applied / applied.sum())


def drawn_down(weight: Floats, held: Floats, allowed: Mask, most: float = 1.0) -> Mask:
    """Say who counts for less than half of its share `held` of the examples; each of shape (K,).

    Nobody does where all have the same weight (one client, one vote), nor does one at the cap
    `most`. Clients that are not `allowed` can have no weight.
    """
    there = weight[allowed]
    if not there.sum() > 0 or np.ptp(there) <= ROUNDING:
        return np.zeros(len(weight), bool)
    half = np.minimum(MIN_SHARE * held, most)
    return np.asarray(allowed & (weight < half * (1 - ROUNDING)))


def _inside(weight: Floats, least: Floats, most: float) -> bool:
    above, below = weight > most * (1 + ROUNDING), weight < least * (1 - ROUNDING)
    return not (above | below).any()


def project_onto_simplex(point: Floats) -> Floats:
    """Return the nearest point, in the Euclidean sense, that is >= 0 and sums to 1.

    By sorting (Held et al. 1974; Duchi et al., ICML 2008): the projection subtracts one threshold
    from all coordinates and cuts at 0. The point ``[K]`` is finite, K >= 1.
    """
    centred = point - point.max()  # the projection ignores a shift; sums stay small
    ordered = np.sort(centred)[::-1]
    thresholds = (np.cumsum(ordered) - 1.0) / np.arange(1, len(point) + 1)
    support = np.count_nonzero(ordered > thresholds)
    projected = np.maximum(centred - thresholds[support - 1], 0.0)
    return np.asarray(projected / projected.sum())
