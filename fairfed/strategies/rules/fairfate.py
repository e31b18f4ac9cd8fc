"""FAIR-FATE: Salazar, Fernandes, Araujo & Abreu, ICCS 2023, arXiv 2209.10678.

The server evaluates every client's model on a validation set of its own. Clients whose model is at
least as fair as the received one, ``F_k >= F``, make the fair update
``a_F = sum F_k d_k / sum F_k``; all make the plain one, ``a_N = sum n_k / n d_k``, with
``d_k = w_k - w``. Then, at round t of T,

``v <- b_t v + (1 - b_t) a_F``, ``w <- w + l_t v + (1 - l_t) a_N``,

with decaying momentum ``b_t = b_0 (1 - t/T) / ((1 - b_0) + b_0 (1 - t/T))`` and a growing share
``l_t = l_0 (1 + rho)^t``, at most ``l_max``.

Read in the authors' code and confirmed there: both schedules, a_F and a_N. Departures: F is 1 less
the unfairness that the probe signal measures (theirs: metrics rescaled to [0, 1] over the round's
clients); no bias correction of v, as in the paper; normalisation statistics are averaged with the
weights of the round and have no momentum; a round without any fair client decays v; cap and floor
hold in a_F as well as in a_N, so that v carries neither more nor less of a client either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fairfed.rounds.arrays import Model
from fairfed.strategies.aggregate import stepped, summed_updates, weighted_mean
from fairfed.strategies.cohort import Cohort, Floats
from fairfed.strategies.part import kept, number
from fairfed.strategies.rules.base import WeightRule
from fairfed.strategies.rules.fedavg import fedavg_weights
from fairfed.strategies.signals import Kind, Signals
from fairfed.strategies.weights import Weights, bounded, sanitise, without_signal


def decaying_momentum(beta0: float, server_round: int, rounds: int) -> float:
    """Return ``b_t``: beta0 at t = 0, 0 from the last round on (Demon, Chen et al. 2019)."""
    left = max(0.0, 1.0 - server_round / rounds)
    return beta0 * left / ((1.0 - beta0) + beta0 * left)


def fair_shares(signals: Signals, possible: np.ndarray[Any, np.dtype[np.bool_]]) -> Floats:
    """Return the fair clients' shares of ``a_F``: ``F_k / sum F``, 0 for the others.

    Signals are the unfairness of every client's model, and of the received one as reference.
    """
    fairness = np.clip(1.0 - signals.values, 0.0, 1.0)
    with np.errstate(invalid="ignore"):  # a NaN is no fair client
        fair = possible & (signals.values <= signals.reference)
    chosen = np.where(fair, fairness, 0.0)
    return chosen / chosen.sum() if chosen.sum() > 0 else chosen


@dataclass
class FairFate(WeightRule):
    """Follow the momentum of the clients that make the model fairer.

    Parameters
    ----------
    beta0 : float
        Momentum at the start, in [0, 1).
    lambda0, lambda_max : float
        Share of the fair momentum in a step at the start and at most, in [0, 1].
    rho : float
        Growth of that share per round, >= 0.
    rounds : int
        T: rounds over which the momentum decays, >= 1. A run sets its own number.
    """

    name: ClassVar[str] = "fair-fate"
    steers_by: ClassVar[frozenset[Kind]] = frozenset({"gap"})
    signal: ClassVar[str] = "probe"
    needs_updates: ClassVar[bool] = True
    needs_server_set: ClassVar[bool] = True
    own_step: ClassVar[bool] = True
    beta0: float = number(0.9, 0.0, 1.0, below=True)
    lambda0: float = number(0.1, 0.0, 1.0)
    lambda_max: float = number(1.0, 0.0, 1.0)
    rho: float = number(0.05)
    rounds: int = number(100, 1)
    _momentum: Model = kept(dict, large=True)

    def share(self, server_round: int) -> float:
        """Return ``l_t``."""
        growth = self.lambda0 * (1.0 + self.rho) ** min(server_round, 10_000)
        return min(self.lambda_max, growth)

    def weigh(self, cohort: Cohort, signals: Signals) -> Weights:
        """Mix the fair clients' shares with the shares of examples, without momentum yet."""
        plain, share = fedavg_weights(cohort.n), self.share(cohort.round)
        raw = (1.0 - share) * plain.weight + share * fair_shares(signals, cohort.possible)
        raw = np.where(cohort.possible, raw, np.nan)
        return without_signal(sanitise(raw, cohort.n), signals.values)

    def merge(self, cohort: Cohort, signals: Signals, weights: Weights) -> Model:
        """Step along the fair momentum and the plain mean."""
        share, fair = self.share(cohort.round), fair_shares(signals, cohort.possible)
        n, bounds, holders = cohort.n, cohort.bounds, cohort.holders
        plain = bounded(fedavg_weights(n), n, bounds, holders)
        if fair.any():
            fair = bounded(sanitise(fair, n), n, bounds, holders).weight
        self._advance(cohort, fair)
        moved = weighted_mean(cohort.models, weights.weight.tolist())
        mean = weighted_mean(cohort.models, plain.weight.tolist())
        step = stepped(cohort.received, mean, 1.0 - share)
        for name, momentum in self._momentum.items():
            wide = step[name].astype(np.float64) + share * momentum
            moved[name] = wide.astype(step[name].dtype)
        return moved

    def _advance(self, cohort: Cohort, fair: Floats) -> None:
        """Move the momentum towards the fair clients' update."""
        beta = decaying_momentum(self.beta0, cohort.round, self.rounds)
        updates = summed_updates(cohort.models, cohort.received, fair.tolist())
        for name, update in updates.items():
            former = self._momentum.get(name, np.zeros(update.shape))
            self._momentum[name] = beta * former + (1.0 - beta) * update
