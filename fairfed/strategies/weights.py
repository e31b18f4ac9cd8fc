"""Aggregation weights as pure functions, and the guards around them.

FedAvg: McMahan et al., AISTATS 2017, arXiv 1602.05629.
FairFed: Ezzeldin et al., AAAI 2023, arXiv 2110.00857 (v3, the additive update).

Departures from FairFed as published, each of which leaves its setting (all clients take part,
constant ``n_k``, no negative weight) unchanged:

- The state is the sum of a client's corrections and not the weight itself, so that the base
  ``n_k / sum(n)`` follows the clients that take part. ``beta = 0`` is then FedAvg to the last bit.
- A negative weight is set to 0 (the paper does not say; public ports clamp), and the state is
  bounded so that the weight is back as soon as the client's gap is below the mean.
- A client without a signal in a round keeps its weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BAD_COUNT = "excluded: number of examples is {value:g}"
BAD_WEIGHT = "excluded: weight is {value:g}"
NEGATIVE = "negative weight {value:.4g} set to 0"
ZERO_TOTAL = "all weights are zero: weighted by number of examples"
ZERO_EXAMPLES = "no client has an example: equal weights"
NO_SIGNAL = "no signal: weight not steered"


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
    """

    raw: Floats
    weight: Floats
    guards: tuple[str | None, ...]


def fedavg_weights(n: Sequence[float] | Floats) -> Weights:
    """Weigh clients by their number of examples.

    Parameters
    ----------
    n : sequence of float, length K
        Examples per client. A client with a NaN, infinite or negative number is excluded.

    Returns
    -------
    Weights
        ``n_k / sum(n)``; equal weights if no client has an example.
    """
    return guarded(_shares(np.asarray(n, np.float64)), n)


def fairfed_weights(
    n: Sequence[float] | Floats,
    signals: Sequence[float] | Floats,
    offsets: Sequence[float] | Floats,
    beta: float,
) -> tuple[Weights, Floats]:
    """Take one step of FairFed: ``w_k <- w_k - beta (gap_k - mean gap)``, then normalise.

    Parameters
    ----------
    n : sequence of float, length K
        Examples per client.
    signals : sequence of float, length K
        Gap of each client to the global value, >= 0; NaN where undefined.
    offsets : sequence of float, length K
        Corrections so far (0 before the first round).
    beta : float
        Fairness budget, >= 0; 0 gives :func:`fedavg_weights` bit for bit.

    Returns
    -------
    weights : Weights
        The weights of this round.
    offsets : ndarray of float64, shape (K,)
        The corrections to hand in next time.
    """
    shares = _shares(np.asarray(n, np.float64))
    gaps = np.asarray(signals, np.float64)
    steered = np.isfinite(gaps) & np.isfinite(shares)
    steps = np.zeros_like(shares)
    if steered.any():
        steps[steered] = beta * (gaps[steered] - gaps[steered].mean())
    corrections = np.asarray(offsets, np.float64) - steps
    weights = guarded(shares + corrections, n)
    blind = np.isfinite(shares) & ~steered
    guards = tuple(
        NO_SIGNAL if blind[k] and guard is None and beta > 0 else guard
        for k, guard in enumerate(weights.guards)
    )
    bounded = np.where(np.isfinite(shares), np.maximum(corrections, -shares), offsets)
    return Weights(weights.raw, weights.weight, guards), np.asarray(bounded, np.float64)


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
    weight = np.where(allowed, np.maximum(asked, 0.0), 0.0)
    if allowed.any() and not weight.sum() > 0:
        weight = np.where(allowed, counts, 0.0)
        reason = ZERO_TOTAL
        if not weight.sum() > 0:
            weight, reason = allowed.astype(np.float64), ZERO_EXAMPLES
        guards = [
            (reason if guard is None else f"{guard}; {reason}") if ok else guard
            for guard, ok in zip(guards, allowed.tolist(), strict=True)
        ]
    total = weight.sum()
    return Weights(asked, weight / total if total > 0 else weight, tuple(guards))


def _shares(n: Floats) -> Floats:
    """Return ``n_k / sum(n)`` over clients with a possible n; NaN elsewhere; 0 if the sum is 0."""
    possible = np.isfinite(n) & (n >= 0)
    total = n[possible].sum()
    shares = n / total if total > 0 and np.isfinite(total) else np.zeros_like(n)
    return np.where(possible, shares, np.nan)


def _reason(raw: float, n: float) -> str | None:
    """Say why a client is excluded or clamped."""
    if not np.isfinite(n) or n < 0:
        return BAD_COUNT.format(value=n)
    if not np.isfinite(raw):
        return BAD_WEIGHT.format(value=raw)
    return NEGATIVE.format(value=raw) if raw < 0 else None
