"""What the server knows about the clients of one round, before it weighs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fairfed.rounds.arrays import Model
from fairfed.strategies.aggregate import is_parameter, weighted_mean
from fairfed.strategies.replies import ClientReply
from fairfed.strategies.weights import AS_PUBLISHED, Bounds

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Probe = Callable[[Model], Counts]
"""Counts ``[G, C, C]`` of a model's predictions on examples that the server holds."""


@dataclass(frozen=True)
class Cohort:
    """The usable replies of one round, by partition id; every sequence has one entry per client.

    Attributes
    ----------
    round : int
        Number of the round, from 1.
    clients : tuple of int, length K
        Partition ids, ascending.
    n : ndarray of float64, shape (K,)
        Examples that count, as reported: may be NaN, infinite or negative.
    counts : tuple of ndarray of int64, each of shape (G, C, C)
        Confusion counts of the *received* global model on the client's real training examples.
    losses : ndarray of float64, shape (K,)
        Mean loss of the received global model there; NaN where the client did not say.
    models : tuple of Model
        What the clients trained; none where they are summed under masks.
    received : Model
        The global model that they started from; empty where only weights are asked for.
    probe : callable, optional
        Evaluates a model on examples of the server.
    known : ndarray of bool, shape (G,), optional
        Groups whose sensitive values are known; None for all. Rows of the others count as rows, but
        no group steers anything by them.
    bounds : Bounds
        Cap and floor of every weight, for rules whose step is more than one weighted mean.
    summed : Model, optional
        The weighted mean, where nothing else is known of the models (`privacy.secure_sum`).
    """

    round: int
    clients: tuple[int, ...]
    n: Floats
    counts: tuple[Counts, ...]
    losses: Floats
    models: tuple[Model, ...] = ()
    received: Model = field(default_factory=dict)
    probe: Probe | None = None
    known: NDArray[np.bool_] | None = None
    bounds: Bounds = AS_PUBLISHED
    summed: Model | None = None

    def mean(self, weights: Floats) -> Model:
        """The mean of the models by weights that sum to 1, ``[K]``."""
        if self.summed is not None:
            return self.summed
        return weighted_mean(self.models, weights.tolist())

    @property
    def possible(self) -> NDArray[np.bool_]:
        """Clients whose number of examples can be true: finite and not negative."""
        return np.asarray(np.isfinite(self.n) & (self.n >= 0))

    @property
    def holders(self) -> NDArray[np.bool_]:
        """Possible clients that hold an example; all possible ones if none does.

        A cap is shared out among these: a client without examples has nothing to add to a round.
        """
        holding = self.possible & (self.n > 0)
        return holding if holding.any() else self.possible

    @cached_property
    def updates(self) -> Floats:
        """What each client did to the parameters, as rows: ``[K, P]``, float64.

        Buffers are left out: a BatchNorm statistic is measured, not descended on, and would
        dominate the norms.
        """
        names = [name for name in self.received if is_parameter(name, self.received[name])]
        received = self.received
        with np.errstate(over="ignore"):  # an infinite step is for the rule to judge
            rows = [
                np.concatenate(
                    [np.subtract(m[n], received[n], dtype=np.float64).ravel() for n in names]
                )
                for m in self.models
            ]
        return np.stack(rows) if rows else np.zeros((0, 0))

    @cached_property
    def by_group(self) -> tuple[Counts, ...]:
        """Counts of every client as a metric of groups shall see them."""
        return tuple(map(self.of_known, self.counts))

    def of_known(self, counts: Counts) -> Counts:
        """Return counts ``[G, C, C]``, those of unknown groups set to 0: metrics leave them out."""
        return counts if self.known is None else counts * self.known[:, None, None]

    @cached_property
    def pooled(self) -> Counts:
        """Counts by group of all clients together, ``[G, C, C]``."""
        return np.asarray(np.sum(np.stack(self.by_group), axis=0))


def cohort_of(
    server_round: int,
    replies: Sequence[ClientReply],
    models: Mapping[int, Model],
    received: Model,
    probe: Probe | None,
    known: NDArray[np.bool_] | None = None,
) -> Cohort:
    """Gather what is known of the clients of a round; of examples, the real ones count."""
    return Cohort(
        round=server_round,
        clients=tuple(r.client for r in replies),
        n=np.asarray([r.n_real for r in replies], np.float64),
        counts=tuple(r.counts for r in replies),
        losses=np.asarray([r.received_loss for r in replies], np.float64),
        models=tuple(models[r.client] for r in replies if r.client in models),
        received=received,
        probe=probe,
        known=known,
    )
