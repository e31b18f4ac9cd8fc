"""What published counts tell about those that were withheld: the attack that redaction must stand.

The attacker knows the counts of every published group exactly, which groups occur, and nothing
else. Rows that lie in the same published groups are one *pool*: nothing tells its members apart, so
any of them may hold all of it. Between pools rows can be moved as long as every published count
stays the same. A small count is safe if such moves make it large: the attacker cannot say that it
is small. The moves are found by integer programming, and are kept small, so that a count that is
called safe is safe; one may be called exposed although a longer move would have hidden it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.sparse import IntArray

NOT_PUBLISHED = -1
MOST_POOLS = 20_000
"""Pools beyond which no move is searched: what is not plainly safe counts as exposed."""
SECONDS = 5.0
"""Longest search for one move."""


def gives_away(counts: IntArray, published: IntArray, guarded: IntArray, most: int) -> bool:
    """Whether published counts tell of some group that a count from 1 to `most` is no larger.

    `counts`, ``(cells, layers)``, are rows of every finest group; layers (outcomes) are published
    together but never mixed. `published`, ``(cells, crosses)``, is the group of each cross that a
    finest group lies in (`NOT_PUBLISHED` where that group is withheld); `guarded`, of the same
    shape, the groups whose counts are to be kept secret, numbered through all crosses.
    """
    pools, pool = np.unique(published, axis=0, return_inverse=True)
    pool = pool.ravel()
    groups = int(guarded.max(initial=-1)) + 1
    # Pairs of a guarded group and a pool that it has a part of.
    pairs = np.unique(np.concatenate([np.stack([own, pool], axis=1) for own in guarded.T]), axis=0)
    for own in counts.T:
        total = sum(np.bincount(labels, own, groups) for labels in guarded.T)
        size = np.bincount(pool, own, len(pools)).astype(np.int64)
        reach = np.bincount(pairs[:, 0], size[pairs[:, 1]], groups)
        doubtful = np.flatnonzero((total >= 1) & (total <= most) & (reach <= most))
        starts = np.searchsorted(pairs[:, 0], [doubtful, doubtful + 1])
        touched = {tuple(pairs[a:b, 1]) for a, b in starts.T}
        if not _movable(pools, size, [np.array(own) for own in sorted(touched)], most):
            return True
    return False


def _movable(pools: IntArray, size: IntArray, touched: list[IntArray], most: int) -> bool:
    """Whether rows can be moved between pools such that each group may hold more than `most`."""
    if not touched:
        return True
    if len(pools) > MOST_POOLS:
        return False
    moves = _Moves.between(pools, size, most)

    def small(move: IntArray) -> list[IntArray]:
        return [own for own in touched if size[own].sum() + move[own].sum() <= most]

    # One move often clears many groups: first for all together, then for each that is left.
    while touched:
        left = small(moves.best(touched))
        if len(left) == len(touched):
            break
        touched = left
    while touched:
        left = small(moves.best(touched[:1]))
        if any(own is touched[0] for own in left):
            return False
        touched = left
    return True


@dataclass(frozen=True, eq=False)
class _Moves:
    """Changes of the pools that keep every published count."""

    size: IntArray
    most: int
    kept: NDArray[np.float64]
    """Published counts by pools: 1 where the count has the pool."""

    @classmethod
    def between(cls, pools: IntArray, size: IntArray, most: int) -> _Moves:
        rows = [np.ones(len(pools))]
        for labels in pools.T:
            rows += [
                (labels == label).astype(np.float64)
                for label in np.unique(labels[labels != NOT_PUBLISHED])
            ]
        return cls(size, most, np.array(rows))

    def best(self, touched: list[IntArray]) -> IntArray:
        """The change that brings these groups, in sum, nearest to more than `most`; else none."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array, eye_array, hstack

        n, q, step = len(self.size), len(touched), self.most + 1
        row = np.repeat(np.arange(q), [len(own) for own in touched])
        parts = csr_array((np.ones(len(row)), (row, np.concatenate(touched))), shape=(q, n))
        # A group gains from a move at most what it lacks: `gain <= (rows of its pools) + move`.
        gains = LinearConstraint(
            hstack([-parts, eye_array(q)]), ub=parts @ self.size.astype(np.float64)
        )
        kept = LinearConstraint(
            hstack([csr_array(self.kept), csr_array((len(self.kept), q))]), 0, 0
        )
        bounds = Bounds(
            np.concatenate([-np.minimum(self.size, step), np.full(q, -step * n)]),
            np.concatenate([np.full(n, step), np.full(q, step)]),
        )
        found = milp(
            np.concatenate([np.zeros(n), -np.ones(q)]),
            integrality=np.concatenate([np.ones(n), np.zeros(q)]),
            bounds=bounds,
            constraints=[gains, kept],
            options={"time_limit": SECONDS},
        )
        none = np.zeros(n, np.int64)
        if found.x is None:
            return none
        move = np.rint(found.x[:n]).astype(np.int64)
        possible = (self.size + move >= 0).all() and not (self.kept @ move).any()
        return move if possible else none
