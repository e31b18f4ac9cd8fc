"""From what a rule asks for to weights that cannot harm: the guards around every rule.

Whatever the clients report and the rule makes of it, the weights that are applied are finite, not
negative, sum to 1, none exceeds the cap (or an equal share, where that is more), and no client that
holds examples falls below the floor: a part of its share of them.

The cap keeps one client from deciding alone, the floor keeps a rule from silencing one. Both bound
what a rule asks for, and the weights between them keep their proportions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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

BAD_COUNT = "excluded: number of examples is {value:g}"
BAD_WEIGHT = "excluded: weight is {value:g}"
NEGATIVE = "negative weight {value:.4g} set to 0"
ZERO_TOTAL = "all weights are zero: weighted by number of examples"
ZERO_EXAMPLES = "no client has an example: equal weights"
NO_SIGNAL = "no signal: weight not steered"
CAPPED = "weight {value:.4g} cut to the cap {cap:g}"
RAISED = "weight {value:.4g} raised to the floor {floor:.4g}"


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


@dataclass(frozen=True)
class Weights:
    """The weights of one aggregation; every array has one entry per client.

    Attributes
    ----------
    raw : ndarray of float64, shape (K,)
        What the rule asked for; NaN where the client was excluded before the rule.
    weight : ndarray of float64, shape (K,)
        What is applied: >= 0, sums to 1; all zeros if no client is left.
    guards : tuple of (str or None), length K
        Why a guard acted on the client.
    scale : float
        How far the model goes from the received one towards the weighted mean, >= 0; 1 is the mean
        itself. Only rules with a step size of their own differ from 1.
    drawn_down : tuple of bool, length K
        Who was raised to the floor, or counts for less than half of its share of the examples;
        empty before the bounds.
    """

    raw: Floats
    weight: Floats
    guards: tuple[str | None, ...]
    scale: float = 1.0
    drawn_down: tuple[bool, ...] = ()


def sanitise(raw: Sequence[float] | Floats, n: Sequence[float] | Floats) -> Weights:
    """Turn what a rule asks for into weights that cannot harm.

    In this order: a client with an impossible ``n`` or a weight that is NaN or infinite is
    excluded; a negative weight becomes 0; if nothing is left, the weights are proportional to
    ``n``; if that is zero too, they are equal.

    Parameters
    ----------
    raw : sequence of float, length K
        Weights before normalisation.
    n : sequence of float, length K
        Examples per client, for the fallback.

    Returns
    -------
    Weights
        Normalised weights and the reasons.
    """
    asked, counts = np.asarray(raw, np.float64), np.asarray(n, np.float64)
    guards = [_reason(*pair) for pair in zip(asked.tolist(), counts.tolist(), strict=True)]
    allowed = np.isfinite(asked) & np.isfinite(counts) & (counts >= 0)
    weight = _summable(np.where(allowed, np.maximum(asked, 0.0), 0.0))
    if allowed.any() and not weight.sum() > 0:
        weight = _summable(np.where(allowed, counts, 0.0))
        reason = ZERO_TOTAL
        if not weight.sum() > 0:
            weight, reason = allowed.astype(np.float64), ZERO_EXAMPLES
        guards = [
            _join(guard, reason) if ok else guard
            for guard, ok in zip(guards, allowed.tolist(), strict=True)
        ]
    total = weight.sum()
    return Weights(asked, weight / total if total > 0 else weight, tuple(guards))


def bounded(weights: Weights, n: Floats, bounds: Bounds, allowed: NDArray[np.bool_]) -> Weights:
    """Cut weights above the cap and raise those below the floor; the others keep their proportions.

    A floor above the cap gives way to it: both can then be kept together. Those `allowed` ``[K]``
    have a floor, and can take what others lose, in proportion to their weights, or in equal parts
    where these are all zero. If all are within the bounds, the weights are the same bit for bit.
    """
    asked = weights.weight
    if not asked.sum() > 0:
        return replace(weights, drawn_down=(False,) * len(asked))
    held, most = shares_of(n, allowed), limit(bounds.max_weight, allowed)
    least = np.minimum(bounds.min_share * held, most)
    applied = within(asked, least, most, allowed)
    raised = (asked < least) & (applied > asked) & (applied <= least * (1 + ROUNDING))
    cut = (asked > most) & (applied < asked) & (applied >= most * (1 - ROUNDING))
    guards = list(weights.guards)
    for k, value in enumerate(asked.tolist()):
        if raised[k]:
            guards[k] = _join(guards[k], RAISED.format(value=value, floor=least[k]))
        elif cut[k]:
            guards[k] = _join(guards[k], CAPPED.format(value=value, cap=most))
    low = (raised & (applied < held)) | drawn_down(applied, held, allowed, most)
    return replace(weights, weight=applied, guards=tuple(guards), drawn_down=tuple(low.tolist()))


def shares_of(n: Floats, allowed: NDArray[np.bool_]) -> Floats:
    """Return the shares of the examples among the clients that may weigh; 0 for the others."""
    return np.nan_to_num(shares(np.where(allowed, n, 0.0)))


def without_signal(weights: Weights, signals: Floats) -> Weights:
    """Note on clients without a signal that their weight was not steered."""
    guards = tuple(
        NO_SIGNAL if guard is None and not known else guard
        for guard, known in zip(weights.guards, np.isfinite(signals).tolist(), strict=True)
    )
    return replace(weights, guards=guards)


def impute(signals: Floats) -> Floats:
    """Fill missing signals with the mean of the others (0 if all are missing): they move nobody."""
    known = np.isfinite(signals)
    return np.where(known, signals, signals[known].mean() if known.any() else 0.0)


def shares(n: Floats) -> Floats:
    """Return ``n_k / sum(n)`` over clients with a possible n; NaN elsewhere; 0 if the sum is 0."""
    possible = np.isfinite(n) & (n >= 0)
    counts = _summable(np.where(possible, n, 0.0))
    total = counts.sum()
    return np.where(possible, counts / total if total > 0 else 0.0, np.nan)


def _summable(values: Floats) -> Floats:
    """Return values >= 0, over their largest where they are too large to be added up."""
    with np.errstate(over="ignore"):
        fits = np.isfinite(values.sum())
    return values if fits else values / values.max()


def _join(guard: str | None, reason: str) -> str:
    """Add a reason to what a guard has said before."""
    return reason if guard is None else f"{guard}; {reason}"


def _reason(raw: float, n: float) -> str | None:
    """Say why a client is excluded or clamped."""
    if not np.isfinite(n) or n < 0:
        return BAD_COUNT.format(value=n)
    if not np.isfinite(raw):
        return BAD_WEIGHT.format(value=raw)
    return NEGATIVE.format(value=raw) if raw < 0 else None
