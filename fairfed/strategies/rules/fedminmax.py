"""FedMinMax: Papadaki, Martinez, Bertran, Sapiro & Rodrigues, FAccT 2022, arXiv 2201.08304.

Minimises the risk of the worst demographic group of the *federation*, wherever its members are.
The server keeps a mixture ``mu`` of groups, ``mu <- P_simplex(mu + gamma r)`` with the group risks
``r`` of the received model; a client weighs an example of group a by ``mu_a / rho_a``, with ``rho``
the groups' shares of the data; models are averaged by examples.

Departures: the risk is the 0-1 loss, because the pooled counts give it exactly and nothing beyond
them has to leave a client (the paper: cross-entropy or Brier score); clients take their usual local
steps, where the paper takes one; a group that is absent for a round keeps its share
(`fairfed.strategies.rules.groups`); an example weighs at most 10. The paper's pseudo-code was
known to us from secondary descriptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

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


def minmax_mixture(counts: Counts, mixture: Floats, gamma: float) -> Floats:
    """Take one step of the mixture ``[G]`` of groups, by pooled counts ``[G, C, C]``.

    It stays on the simplex; a group without rows keeps its share.
    """
    errors, rows = errors_by_cell(counts)
    size = rows.sum(axis=1)
    here = size > 0
    risks = np.nansum(errors * rows, axis=1)[here] / size[here]
    return stepped_where(here, mixture, gamma * risks)


@dataclass
class FedMinMax(GroupRule):
    """Train for the demographic group that is served worst.

    Parameters
    ----------
    gamma : float
        Step size of the mixture of groups, >= 0. 0: FedAvg.
    """

    name: ClassVar[str] = "fedminmax"
    gamma: float = number(0.1)
    _mixture: Floats | None = kept()

    def weigh(self, cohort: Cohort, signals: Signals) -> Weights:
        """Step the mixture by the group errors of this round; weigh clients by examples."""
        if cohort.counts and cohort.pooled.any():
            before, held = (
                cells.sum(axis=1) for cells in update_participation(self._cells, cohort)
            )
            mixture = with_newcomers(self._mixture, before, held)
            self._mixture = minmax_mixture(cohort.pooled, mixture, self.gamma)
            by_group = relative_weights(self._mixture, row_shares(held))
            self._weights = np.tile(by_group[:, None], (1, cohort.pooled.shape[1]))
        return fedavg_weights(cohort.n)
