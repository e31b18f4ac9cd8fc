"""FedMGDA+: Hu, Shaloudegi, Zhang & Yu 2020, arXiv 2006.11489 (IEEE TNSE 2022).

Follows the shortest vector in the convex hull of the clients' normalised updates: the direction
that, if it is not 0, improves every client at once. ``lambda`` minimises ``|sum lambda_k u_k|`` on
the simplex with ``|lambda_k - n_k / sum(n)| <= epsilon``, where ``u_k`` is the client's update over
its norm; epsilon = 0 averages the normalised updates, epsilon = 1 is MGDA. Normalising keeps an
inflated update from leading.

Departures: the paper's server step is a length of its own; ours is ``step`` times the median norm
of the updates, so that it needs no tuning against the learning rate and no client lengthens it
alone. An update of exactly 0 has no direction and is left out (the minimum norm would be 0, and the
federation would stand still), and so is one whose norm is beyond the range of doubles.
Normalisation statistics are averaged with lambda.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fairfed.rounds.arrays import Model
from fairfed.strategies.aggregate import summed_updates, weighted_mean
from fairfed.strategies.cohort import Cohort, Floats
from fairfed.strategies.part import number
from fairfed.strategies.rules.base import WeightRule
from fairfed.strategies.rules.fedavg import fedavg_weights
from fairfed.strategies.signals import Signals
from fairfed.strategies.weights import Weights, sanitise, shares

NO_UPDATE = "excluded: its update is zero"
ENDLESS = "excluded: its update is too long to be measured"


def min_norm_weights(gram: Floats, centre: Floats, epsilon: float) -> Floats:
    """Minimise ``l' gram l`` over the simplex within epsilon, in [0, 1], of a centre on it.

    A convex quadratic program, solved with SLSQP (Kraft 1988) of scipy; `gram` ``[K, K]`` are the
    inner products of the vectors. Where the solver stops early, the better of its point and the
    centre.
    """
    from scipy.optimize import minimize

    if epsilon == 0 or len(centre) == 1:
        return centre
    low, high = np.maximum(centre - epsilon, 0.0), np.minimum(centre + epsilon, 1.0)
    found = minimize(
        lambda point: point @ gram @ point,
        centre,
        jac=lambda point: 2.0 * gram @ point,
        method="SLSQP",
        bounds=list(zip(low, high, strict=True)),
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1.0, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    point = np.clip(found.x, low, high)
    point = np.asarray(point / point.sum(), np.float64)
    return point if point @ gram @ point <= centre @ gram @ centre else centre


@dataclass
class FedMGDA(WeightRule):
    """Go where no client loses, as far as the weights may leave the shares of examples.

    Parameters
    ----------
    epsilon : float
        How far a weight may be from ``n_k / sum(n)``, in [0, 1].
    step : float
        Length of the step, > 0, in median norms of the clients' updates.
    """

    name: ClassVar[str] = "fedmgda"
    needs_updates: ClassVar[bool] = True
    own_step: ClassVar[bool] = True
    epsilon: float = number(0.1, 0.0, 1.0)
    step: float = number(1.0, above=True)

    def weigh(self, cohort: Cohort, signals: Signals) -> Weights:
        """Find the minimum norm; the weights are those of the updates at length 1."""
        norms = _norms(cohort)
        moving = cohort.possible & (norms > 0) & np.isfinite(norms)
        if not moving.any():
            return fedavg_weights(cohort.n)
        directions = cohort.updates[moving] / norms[moving, None]
        centre = shares(cohort.n[moving])
        if not centre.sum() > 0:
            centre = np.full(len(centre), 1.0 / len(centre))
        mixture = min_norm_weights(directions @ directions.T, centre, self.epsilon)
        raw = np.full(len(norms), np.nan)
        raw[moving] = mixture
        weights = sanitise(raw, cohort.n)
        left_out = cohort.possible & ~moving
        guards = tuple(
            (ENDLESS if norms[k] > 0 else NO_UPDATE) if left_out[k] else guard
            for k, guard in enumerate(weights.guards)
        )
        return replace(weights, guards=guards)

    def merge(self, cohort: Cohort, signals: Signals, weights: Weights) -> Model:
        """Step along the mixture of the directions, by the median length of the updates."""
        moved = weighted_mean(cohort.models, weights.weight.tolist())
        norms = _norms(cohort)
        moving = cohort.possible & (norms > 0) & np.isfinite(norms)
        length = self.step * np.median(norms[moving]) if moving.any() else 0.0
        per_update = np.divide(weights.weight, norms, out=np.zeros_like(norms), where=moving)
        directions = summed_updates(cohort.models, cohort.received, per_update.tolist())
        for name, direction in directions.items():
            received = cohort.received[name]
            moved[name] = (received + length * direction).astype(received.dtype)
        return moved


def _norms(cohort: Cohort) -> Floats:
    """Return the length of every update, shape (K,); infinite beyond the range of doubles."""
    if not cohort.models:
        return np.zeros(0)
    with np.errstate(over="ignore"):
        return np.asarray(np.linalg.norm(cohort.updates, axis=1), np.float64)
