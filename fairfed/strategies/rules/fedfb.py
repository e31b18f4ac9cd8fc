"""FedFB: Zeng, Chen & Lee 2021, "Improving Fairness via Federated Learning", arXiv 2110.15545.

FairBatch (Roh et al., ICLR 2021) for federations: within every class the groups' shares of the
training weight move towards the groups with the larger loss, ``lambda <- lambda + alpha /
sqrt(t + 1) f`` with ``f`` from *aggregated* group losses of the received model at round t; clients
train on examples weighted accordingly, and models are averaged by examples.

Departures: for any number of groups and classes (as for equalized odds: f is a group's loss less
the mean of the groups' in its class); the loss is the 0-1 loss, which the pooled counts give, so
that nothing else leaves a client; shares are projected onto the simplex, where the paper clips two
of them; a group that is absent for a round keeps its share (`fairfed.strategies.rules.groups`);
an example weighs at most 10. Not confirmed: whether the paper divides f by its norm (declearn's
port does for equalized odds); we do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from fairfed.strategies.cohort import Cohort, Counts, Floats
from fairfed.strategies.part import kept, number
from fairfed.strategies.rules.fedavg import fedavg_weights
from fairfed.strategies.rules.groups import (
    GroupRule,
    errors_by_cell,
    relative_weights,
    row_shares,
    stepped_where,
    update_participation,
    with_newcomers,
)
from fairfed.strategies.signals import Signals
from fairfed.strategies.weights import Weights


def fedfb_shares(counts: Counts, shares: Floats | None, step: float) -> tuple[Floats, Floats]:
    """Move the groups' shares of each class towards the groups with the larger error.

    The counts ``[G, C, C]`` of the received model are pooled. Shares ``[G, C]``, whose columns each
    sum to 1, start at the groups' shares of the rows, which are returned, too. The step is ``alpha
    / sqrt(t + 1)``. A cell without rows keeps its share, and so does a class whose rows are all of
    one group.
    """
    errors, rows = errors_by_cell(counts)
    held = row_shares(rows)
    moved = held.copy() if shares is None else shares.copy()
    for label in range(rows.shape[1]):
        here = rows[:, label] > 0
        own = errors[here, label]
        if here.any():
            moved[:, label] = stepped_where(here, moved[:, label], step * (own - own.mean()))
    return moved, held


@dataclass
class FedFB(GroupRule):
    """Even out the groups' errors within every class, by the weights of training examples.

    Parameters
    ----------
    alpha : float
        Step size of the shares, >= 0. 0: FedAvg.
    """

    name: ClassVar[str] = "fedfb"
    alpha: float = number(0.3)
    _shares: Floats | None = kept()

    def weigh(self, cohort: Cohort, signals: Signals) -> Weights:
        """Move the shares by the group errors of this round; weigh clients by examples."""
        if cohort.counts:
            step = self.alpha / math.sqrt(cohort.round + 1)
            before, held = update_participation(self._cells, cohort)
            shares = with_newcomers(self._shares, before, held)
            self._shares, _ = fedfb_shares(cohort.pooled, shares, step)
            self._weights = relative_weights(self._shares, row_shares(held))
        return fedavg_weights(cohort.n)
