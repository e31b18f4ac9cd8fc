"""FairFed: Ezzeldin et al., AAAI 2023, arXiv 2110.00857.

``fairfed`` is v3, additive and stateful: ``w_k <- w_k - beta (gap_k - mean gap)``, then normalised,
from ``n_k / sum(n)``. Departures, each of which leaves the published setting (all clients take
part, constant ``n_k``, no negative weight) unchanged:

- The state is the sum of a client's corrections and not the weight itself, so that the base
  ``n_k / sum(n)`` follows the clients that take part. ``beta = 0`` is then FedAvg to the last bit.
- A negative weight is set to 0 (the paper does not say; public ports clamp), and the state is
  bounded so that the weight is back as soon as the client's gap is below the mean.
- A client without a signal in a round keeps its weight.

``fairfed-exp`` is the memoryless form of early arXiv versions and of the FedFB authors' code:
``w_k ~ n_k / sum(n) exp(-beta gap_k)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairfed.strategies.cohort import Cohort, Floats
from fairfed.strategies.part import kept, number
from fairfed.strategies.rules.base import WeightRule
from fairfed.strategies.rules.term import term_weights
from fairfed.strategies.signals import Kind, Signals
from fairfed.strategies.weights import Weights, sanitise, shares, without_signal


def fairfed_weights(
    n: Sequence[float] | Floats,
    signals: Sequence[float] | Floats,
    offsets: Sequence[float] | Floats,
    beta: float,
) -> tuple[Weights, Floats]:
    """Take one step of FairFed: ``w_k <- w_k - beta (gap_k - mean gap)``, then normalise.

    `n` are the clients' examples, `signals` their gaps to the global value (NaN where undefined),
    `offsets` their corrections so far (0 before the first round), all of length K. Returned are the
    weights, and the corrections to hand in next time. ``beta = 0`` gives FedAvg's weights bit for
    bit.
    """
    base = shares(np.asarray(n, np.float64))
    gaps = np.asarray(signals, np.float64)
    steered = np.isfinite(gaps) & np.isfinite(base)
    steps = np.zeros_like(base)
    if steered.any():
        steps[steered] = beta * (gaps[steered] - gaps[steered].mean())
    corrections = np.asarray(offsets, np.float64) - steps
    weights = sanitise(base + corrections, n)
    if beta > 0:
        weights = without_signal(weights, gaps)
    bounded = np.where(np.isfinite(base), np.maximum(corrections, -base), offsets)
    return weights, np.asarray(bounded, np.float64)


def fairfed_exp_weights(
    n: Sequence[float] | Floats, signals: Sequence[float] | Floats, beta: float
) -> Weights:
    """Weigh by ``n_k / sum(n) exp(-beta gap_k)``; parameters as for :func:`fairfed_weights`.

    A missing gap counts as the mean of the others. ``beta = 0`` gives FedAvg's weights.
    """
    gaps = np.asarray(signals, np.float64)
    weights = term_weights(n, -gaps, beta)
    return without_signal(weights, gaps) if beta > 0 else weights


@dataclass
class FairFed(WeightRule):
    """Take weight from clients whose fairness differs from the federation's (additive, v3).

    Parameters
    ----------
    beta : float
        Fairness budget, >= 0: how far gaps move the weights. 0: FedAvg.
    """

    name: ClassVar[str] = "fairfed"
    steers_by: ClassVar[frozenset[Kind]] = frozenset({"gap"})
    beta: float = number(0.1)
    _offsets: dict[int, float] = kept(dict)

    def weigh(self, cohort: Cohort, signals: Signals) -> Weights:
        """Correct the weights by this round's gaps, and keep the corrections of who took part."""
        former = [self._offsets.get(client, 0.0) for client in cohort.clients]
        weights, offsets = fairfed_weights(cohort.n, signals.values, former, self.beta)
        self._offsets |= dict(zip(cohort.clients, offsets.tolist(), strict=True))
        return weights


@dataclass
class FairFedExp(WeightRule):
    """The same aim without memory: weights fall exponentially with the gap.

    Parameters
    ----------
    beta : float
        Fairness budget, >= 0. 0: FedAvg.
    """

    name: ClassVar[str] = "fairfed-exp"
    steers_by: ClassVar[frozenset[Kind]] = frozenset({"gap"})
    beta: float = number(0.1)

    def weigh(self, cohort: Cohort, signals: Signals) -> Weights:
        """Tilt the shares of examples by the gaps."""
        return fairfed_exp_weights(cohort.n, signals.values, self.beta)
