"""q-FedAvg: Li, Sanjabi, Beirami & Smith, ICLR 2020, arXiv 1905.10497.

Minimises ``sum F_k^(q+1) / (q+1)``. With the loss ``F_k`` of the *received* model ``w`` and the
client's model ``w_k``:

``Delta_k = L (w - w_k) F_k^q``, ``h_k = q F_k^(q-1) |L (w - w_k)|^2 + L F_k^q``,
``w <- w - sum(Delta) / sum(h)``.

That is a weighted mean with ``w_k ~ F_k^q``, gone ``L sum(F^q) / sum(h)`` of the way; q = 0 is the
unweighted mean. Departures: norms are over parameters, and normalisation statistics are averaged
with the same weights; losses enter as their ratio to the largest, which changes nothing but keeps
large q finite. Flower's ``QFedAvg`` takes the loss *after* training, and so another ``F_k``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fairfed.strategies.cohort import Cohort, Floats
from fairfed.strategies.part import number
from fairfed.strategies.rules.base import WeightRule
from fairfed.strategies.signals import Kind, Signals
from fairfed.strategies.weights import Weights, impute, sanitise, without_signal

LEAST_LOSS = 1e-10
"""A loss of 0 would be raised to q - 1."""


def q_fedavg(
    losses: Floats, squared_norms: Floats, q: float, lipschitz: float
) -> tuple[Floats, float]:
    """Return q-FedAvg's step as weights ``[K]``, and a scale: how far to go to the mean, in (0, 1].

    Losses ``[K]`` are of the received model, finite and >= 0; `squared_norms` ``[K]`` are ``|w -
    w_k|^2``. For L > 0 the authors take 1 / learning rate.
    """
    floored = np.maximum(losses, LEAST_LOSS)
    powers = (floored / floored.max()) ** q
    curvature = q * powers / floored * lipschitz**2 * squared_norms + lipschitz * powers
    return powers / powers.sum(), float(lipschitz * powers.sum() / curvature.sum())


@dataclass
class QFFL(WeightRule):
    """Even out the clients' losses: the larger a loss, the more it counts.

    Parameters
    ----------
    q : float
        0: unweighted mean; the larger, the closer to the worst client's loss alone.
    lipschitz : float
        L, an estimate of the gradient's Lipschitz constant, > 0. A run sets ``1 / train.lr``.
    """

    name: ClassVar[str] = "qffl"
    steers_by: ClassVar[frozenset[Kind]] = frozenset({"risk", "merit"})
    signal: ClassVar[str] = "loss"
    needs_updates: ClassVar[bool] = True
    own_step: ClassVar[bool] = True
    q: float = number(1.0)
    lipschitz: float = number(10.0, above=True)

    def weigh(self, cohort: Cohort, signals: Signals) -> Weights:
        """Weigh by powers of the losses, and shorten the step by the curvature."""
        here = cohort.possible
        raw = np.full(len(here), np.nan)
        if not here.any():
            return sanitise(raw, cohort.n)
        losses = np.maximum(impute(signals.risks[here]), 0.0)
        with np.errstate(over="ignore"):  # an endless update shortens the step to nothing
            norms = np.square(cohort.updates).sum(axis=1)
            raw[here], scale = q_fedavg(losses, norms[here], self.q, self.lipschitz)
        weights = sanitise(raw, cohort.n)
        return replace(without_signal(weights, signals.risks), scale=scale)
