"""TERM, tilted empirical risk minimisation: Li, Beirami, Sanjabi & Smith, ICLR 2021, 2007.01162.

Minimises ``1/t log sum p_k exp(t F_k)``, whose gradient weighs clients by
``w_k ~ p_k exp(t F_k)`` with ``p_k = n_k / sum(n)`` and the losses of the received model: the
hierarchical, client-level tilt of the paper. ``t = 0`` is FedAvg, large t the worst client.

Departure: the weights are of models after local training, not of single gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairfed.strategies.cohort import Cohort, Floats
from fairfed.strategies.part import number
from fairfed.strategies.rules.base import WeightRule
from fairfed.strategies.signals import Kind, Signals
from fairfed.strategies.weights import Weights, impute, sanitise, shares, without_signal


def term_weights(n: Sequence[float] | Floats, risks: Sequence[float] | Floats, t: float) -> Weights:
    """Weigh by ``n_k / sum(n) exp(t F_k)``; a loss that is NaN counts as the mean of the others."""
    losses = np.asarray(risks, np.float64)
    filled = impute(losses)
    # the largest exponent is 0: nothing overflows, and a common factor drops out
    tilt = t * (filled - filled.max(initial=-np.inf))
    return sanitise(shares(np.asarray(n, np.float64)) * np.exp(tilt), n)


@dataclass
class TERM(WeightRule):
    """Tilt the shares of examples towards large losses.

    Parameters
    ----------
    t : float
        Tilt, >= 0. 0: FedAvg.
    """

    name: ClassVar[str] = "term"
    steers_by: ClassVar[frozenset[Kind]] = frozenset({"risk", "merit"})
    signal: ClassVar[str] = "loss"
    t: float = number(1.0)

    def weigh(self, cohort: Cohort, signals: Signals) -> Weights:
        """Weigh by the exponentials of the losses."""
        return without_signal(term_weights(cohort.n, signals.risks, self.t), signals.risks)
