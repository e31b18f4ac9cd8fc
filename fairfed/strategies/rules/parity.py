"""Parity: equalized odds by feedback, over one target distribution for all clients (ours).

Minimising the error subject to ``err(a | y) = err(b | y)`` for all groups a, b and classes y has
the Lagrangian ``sum_ay (P(a, y) + mu_ay) err(a | y)`` with ``sum_a mu_ay = 0``: the multipliers
move weight between the groups of a class and leave the weight of the class alone (the reductions
of Agarwal et al., ICML 2018, arXiv 1803.02453). FedFB ascends on them, too; two things differ.

1. The multipliers are found by proportional and integral feedback on the pooled group errors of
   the received model, a moving average over rounds: the integral part alone, which is dual ascent,
   overshoots, because a model follows its weights only rounds later.
2. Clients are sent the *target* ``T(a, y)`` and weigh an example of a cell by ``T(a, y)`` over the
   cell's share of their own rows. The weighted data of all clients are then one distribution, up to
   the cells that a client lacks; with FedFB each keeps its own skew.

A cell keeps at least `FLOOR` of its share, and an example weighs at most 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairfed.strategies.cohort import Cohort, Floats
from fairfed.strategies.part import kept, number
from fairfed.strategies.rules.fedavg import fedavg_weights
from fairfed.strategies.rules.groups import (
    GroupRule,
    errors_by_cell,
    row_shares,
    update_participation,
)
from fairfed.strategies.signals import Signals
from fairfed.strategies.weights import Weights

FLOOR = 0.1
"""Least share of its own share that a cell keeps: below 0 its labels would have to be flipped."""


def group_gaps(counts: Floats, first: int = 0) -> Floats:
    """Return how much worse each group is served than the mean group of its class, ``[G, C]``.

    0 in a cell without rows, and in classes before `first`, which are left alone. The counts ``[G,
    C, C]`` are pooled, or a moving sum of pooled ones.
    """
    errors, rows = errors_by_cell(counts)
    here = rows > 0
    mean = np.nansum(errors, axis=0) / np.maximum(here.sum(axis=0), 1)
    gaps = np.where(here, errors - mean, 0.0)
    gaps[:, :first] = 0.0
    return gaps


def integrated(integral: Floats, shares: Floats, step: Floats) -> Floats:
    """Add to the integral part; it moves no share below the floor and none between classes."""
    here = shares > 0
    moved = np.where(here, np.maximum(integral + step, -(1.0 - FLOOR) * shares), 0.0)
    centre = moved.sum(axis=0) / np.maximum(here.sum(axis=0), 1)
    return np.where(here, moved - centre, 0.0)


def decoupled(held: Floats, share: float) -> Floats:
    """Return the rows ``[G, C]`` that cells would have if group and class were (more) independent.

    Share 0: as they are; 1: the product of the groups' and the classes' shares (Kamiran & Calders
    2012), in the cells that have rows.
    """
    free = held.sum(axis=1, keepdims=True) * held.sum(axis=0, keepdims=True) / max(held.sum(), 1.0)
    return np.asarray((1.0 - share) * held + share * np.where(held > 0, free, 0.0))


def target(held: Floats, moves: Floats) -> Floats:
    """Return the distribution over cells ``[G, C]`` that clients shall train for.

    To each group's share of the rows of its class, `moves` are added. It sums to 1, every class to
    its share of the rows; 0 in a cell without rows.
    """
    rows, shares = held.sum(axis=0), row_shares(held)
    wanted = np.maximum(shares + moves, FLOOR * shares)
    wanted = wanted / np.where(rows > 0, wanted.sum(axis=0), 1.0)
    return np.asarray(wanted * rows / max(rows.sum(), 1.0))


@dataclass
class Parity(GroupRule):
    """Even out the groups' errors within every class by feedback, for one target distribution.

    Parameters
    ----------
    integral : float
        Gain of the integral part, >= 0.
    proportional : float
        Gain of the proportional part, >= 0. Both 0: the federation's own distribution.
    independent : float
        How far the distribution that it starts from decouples group and class, in [0, 1]. Training
        errors tell nothing of rows that a model learns by heart; this part does not ask them.
    memory : float
        Weight of the former rounds' counts, in [0, 1).
    first : int
        First class whose errors are evened out; of two classes 1 is equal opportunity.
    """

    name: ClassVar[str] = "parity"
    integral: float = number(0.07)
    proportional: float = number(2.0)
    independent: float = number(0.0, 0.0, 1.0)
    memory: float = number(0.5, 0.0, 1.0, below=True)
    first: int = number(0)
    _counts: Floats | None = kept()
    _moves: Floats | None = kept()
    _target: Floats | None = kept()

    def weigh(self, cohort: Cohort, signals: Signals) -> Weights:
        """Move the target by the group errors of this round; weigh clients by examples."""
        if cohort.counts:
            _, held = update_participation(self._cells, cohort)
            self._advance(cohort.pooled.astype(np.float64), decoupled(held, self.independent))
        return fedavg_weights(cohort.n)

    def _advance(self, pooled: Floats, held: Floats) -> None:
        former = 0.0 if self._counts is None else self.memory * self._counts
        self._counts = pooled + former
        gaps = group_gaps(self._counts, int(self.first))
        moves = np.zeros_like(gaps) if self._moves is None else self._moves
        self._moves = integrated(moves, row_shares(held), self.integral * gaps)
        self._target = target(held, self._moves + self.proportional * gaps)

    def cell_target(self) -> Floats | None:
        """Return the distribution that clients shall train for; None before a round."""
        return self._target
