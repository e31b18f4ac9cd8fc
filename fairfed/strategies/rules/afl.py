"""AFL, agnostic federated learning: Mohri, Sivek & Suresh, ICML 2019, arXiv 1902.00146.

Minimises the loss of the worst mixture of clients: a gradient step of the server on the mixture,
``lambda <- P_simplex(lambda + gamma F)``, with the losses ``F_k`` of the received model, and
aggregation with lambda.

Departures: the models that are merged come from several local steps, where the paper descends on
one gradient; lambda starts at ``n_k / sum(n)``, so that ``gamma = 0`` is FedAvg; in a round with
part of the clients, these share out the mass that they hold together, and a client seen for the
first time enters with its share of examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairfed.strategies.cohort import Cohort, Floats
from fairfed.strategies.part import kept, number
from fairfed.strategies.rules.base import WeightRule
from fairfed.strategies.signals import Kind, Signals
from fairfed.strategies.weights import (
    Weights,
    impute,
    project_onto_simplex,
    sanitise,
    shares,
    without_signal,
)


def afl_mixture(prior: Floats, risks: Floats, gamma: float) -> Floats:
    """Take one step of the mixture, ``P_simplex(prior + gamma risks)``; 0 returns ``prior`` itself.

    `prior` ``[K]`` is on the simplex; of the losses ``[K]``, NaN counts as the mean of the others.
    """
    if gamma == 0:
        return prior
    return project_onto_simplex(prior + gamma * impute(risks))


@dataclass
class AFL(WeightRule):
    """Give weight to the clients that the model serves worst, until no mixture is worse.

    Parameters
    ----------
    gamma : float
        Step size of the mixture, >= 0. 0: FedAvg.
    """

    name: ClassVar[str] = "afl"
    steers_by: ClassVar[frozenset[Kind]] = frozenset({"risk", "merit"})
    signal: ClassVar[str] = "loss"
    gamma: float = number(0.1)
    _mixture: dict[int, float] = kept(dict)

    def weigh(self, cohort: Cohort, signals: Signals) -> Weights:
        """Step the mixture of the clients that take part."""
        base = shares(cohort.n)
        here = np.isfinite(base)
        if not here.any():
            return sanitise(base, cohort.n)
        known = [self._mixture.get(client) for client in cohort.clients]
        prior = np.asarray([b if k is None else k for k, b in zip(known, base, strict=True)])[here]
        mass = prior.sum()
        if mass > 0:
            mixture = afl_mixture(prior / mass, signals.risks[here], self.gamma)
        else:
            mass, mixture = 1.0, np.full(len(prior), 1.0 / len(prior))
        raw = np.full(len(base), np.nan)
        raw[here] = mixture
        for client, value in zip(np.asarray(cohort.clients)[here], mixture * mass, strict=True):
            self._mixture[int(client)] = float(value)
        return without_signal(sanitise(raw, cohort.n), signals.risks)
