"""From what a rule asks for to weights that cannot harm: the guards around every rule.

Whatever the clients report and the rule makes of it, the weights that are applied are finite, not
negative, sum to 1, and none exceeds the cap (or an equal share, where that is more).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fairfed.strategies.cohort import Floats

MAX_WEIGHT = 0.8
"""Default cap: no client alone decides more than this of a round's model."""

BAD_COUNT = "excluded: number of examples is {value:g}"
BAD_WEIGHT = "excluded: weight is {value:g}"
NEGATIVE = "negative weight {value:.4g} set to 0"
ZERO_TOTAL = "all weights are zero: weighted by number of examples"
ZERO_EXAMPLES = "no client has an example: equal weights"
NO_SIGNAL = "no signal: weight not steered"
CAPPED = "weight {value:.4g} cut to the cap {cap:g}"


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
    """

    raw: Floats
    weight: Floats
    guards: tuple[str | None, ...]
    scale: float = 1.0


def guarded(raw: Sequence[float] | Floats, n: Sequence[float] | Floats) -> Weights:
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


def limit(cap: float, allowed: NDArray[np.bool_]) -> float:
    """Return the cap that holds: never less than an equal share of the clients that may weigh.

    Fewer clients could not sum to 1 below it: a lone one always has weight 1, two with a cap of 0.4
    have half each.
    """
    return max(cap, 1.0 / max(1, int(np.count_nonzero(allowed))))


def capped(weights: Weights, cap: float, allowed: NDArray[np.bool_]) -> Weights:
    """Cut weights above a cap, and give what is cut to the other clients.

    Parameters
    ----------
    weights : Weights
        Normalised weights.
    cap : float
        Largest weight, in (0, 1]; see :func:`limit`.
    allowed : ndarray of bool, shape (K,)
        Clients that can take what is cut. It goes to the clients below the cap in proportion to
        their weights, or to these in equal parts if all other weights are zero.

    Returns
    -------
    Weights
        The same object if nothing exceeds the cap.
    """
    weight = weights.weight
    if not (weight > cap).any():
        return weights
    over = np.zeros(len(weight), bool)
    most = limit(cap, allowed)
    while (grown := (weight > most * (1 + 1e-12)) & ~over).any():
        over |= grown
        rest = np.where(over, 0.0, weights.weight)
        if not rest.sum() > 0:
            rest = (allowed & ~over).astype(np.float64)
        left = 1.0 - most * np.count_nonzero(over)
        weight = np.where(over, most, left * (rest / rest.sum()))
    cut = weights.weight > weight
    guards = tuple(
        _join(guard, CAPPED.format(value=was, cap=most)) if was_cut else guard
        for guard, was, was_cut in zip(
            weights.guards, weights.weight.tolist(), cut.tolist(), strict=True
        )
    )
    return replace(weights, weight=weight / weight.sum(), guards=guards)


def without_signal(weights: Weights, signals: Floats) -> Weights:
    """Note on clients without a signal that their weight was not steered."""
    guards = tuple(
        NO_SIGNAL if guard is None and not known else guard
        for guard, known in zip(weights.guards, np.isfinite(signals).tolist(), strict=True)
    )
    return replace(weights, guards=guards)


def neutral(signals: Floats) -> Floats:
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
