"""What the rules that steer the training by group have in common (FedFB, FedMinMax, Parity).

They read group errors off the pooled counts and send the clients weights of their training
examples by group and class; the aggregation itself is FedAvg's.

Not everybody is there in every round. Of shares of groups (FedFB, FedMinMax): a group is absent
where none of its holders takes part, or its only holder fails. It keeps its share; those that are
there share out what they hold together, as clients do in AFL. A group that is heard of for the
first time enters with its share of the rows of all clients heard of so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fairfed.strategies.cohort import Cohort, Counts, Floats
from fairfed.strategies.part import kept
from fairfed.strategies.rules.base import WeightRule
from fairfed.strategies.weights import project_onto_simplex

LARGEST_WEIGHT = 10.0
"""Most that a training example counts: one example of a rare cell must not be the data."""


def errors_by_cell(counts: Counts | Floats) -> tuple[Floats, Floats]:
    """Return the 0-1 loss of every cell ``[G, C]``, NaN in one without rows, and its rows.

    The counts ``[G, C, C]`` are pooled, or a moving sum of pooled ones.
    """
    rows = counts.sum(axis=2).astype(np.float64)
    right = np.diagonal(counts, axis1=1, axis2=2)
    wrong = np.where(rows > 0, rows - right, np.nan)
    return wrong / np.maximum(rows, 1.0), rows


def relative_weights(wanted: Floats, held: Floats) -> Floats:
    """Return ``wanted / held`` where something is held, else 1; at most ``LARGEST_WEIGHT``."""
    ratio = np.ones_like(wanted)
    np.divide(wanted, held, out=ratio, where=held > 0)
    return np.minimum(ratio, LARGEST_WEIGHT)


def update_participation(cells: dict[int, Floats], cohort: Cohort) -> tuple[Floats, Floats]:
    """Note the rows of the clients that take part, at least one, in `cells` by partition id.

    Returned are the rows ``[G, C]`` of all clients heard of before this round, and with it.
    """
    before = np.sum([np.zeros(cohort.pooled.shape[:2]), *cells.values()], axis=0)
    for client, counts in zip(cohort.clients, cohort.by_group, strict=True):
        cells[client] = counts.sum(axis=2).astype(np.float64)
    return before, np.sum(list(cells.values()), axis=0)


def row_shares(held: Floats) -> Floats:
    """Return the groups' shares of the rows, along the first axis; 0 where there are no rows."""
    return np.asarray(held / np.maximum(held.sum(axis=0), 1.0))


def with_newcomers(shares: Floats | None, before: Floats, held: Floats) -> Floats:
    """Give groups that are heard of for the first time their share of the rows.

    Shares so far (None for none), and the rows of all clients heard of before this round and with
    it, are ``[G]`` or ``[G, C]``. The shares returned sum to 1 along the first axis where there are
    rows; the others make room in proportion.
    """
    own, new = row_shares(held), (held > 0) & (before == 0)
    if shares is None:
        return own
    entering = np.where(new, own, 0.0)
    mixed = np.where(new, own, shares * (1.0 - entering.sum(axis=0)))
    total = mixed.sum(axis=0)
    return np.asarray(np.where(new.any(axis=0), mixed / np.where(total > 0, total, 1.0), shares))


def stepped_where(here: NDArray[np.bool_], shares: Floats, step: Floats) -> Floats:
    """Take a step on the simplex with the groups that are there; the absent keep their share.

    `step` ``[n_here]`` is added to the shares that those groups have among themselves.
    """
    mass = 1.0 - shares[~here].sum()
    if not here.any() or mass <= 0:
        return shares
    moved = shares.copy()
    moved[here] = mass * project_onto_simplex(shares[here] / mass + step)
    return moved


@dataclass
class GroupRule(WeightRule):
    """A rule that steers the training by group; it remembers who holds what."""

    weighs: ClassVar[bool] = False
    _cells: dict[int, Floats] = kept(dict)
    _weights: Floats | None = kept()

    def cell_weights(self) -> Floats | None:
        """Return the weights of the last round; None before it."""
        return self._weights
