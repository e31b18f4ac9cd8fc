"""What a client needs: synthetic images per class × group cell, from its gaps and a budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semantic.arrays import Flags, Indices
from semantic.errors import InputError

NOBODY_KNOWN = (
    "data.sensitive: every row lacks a sensitive value, so that no cell can be filled; fill in the "
    "column, or set data.sensitive = []"
)
Cells = npt.NDArray[np.int64]
"""Images per cell, ``[n_classes, n_groups]``."""


@dataclass(frozen=True)
class Budget:
    """How much a client may synthesise.

    `per_class` images of each class that it lacks, spread over the groups; in a class that it has,
    a cell with fewer real images is filled up to `cell_target`, and `present` images are made
    whatever its gaps (domain matching; 0 for none).
    """

    per_class: int
    cell_target: int
    present: int = 0


def spread(total: int, parts: int) -> Cells:
    """Divide a total as evenly as possible, the first parts getting what is left; ``[parts]``."""
    share, left = divmod(total, parts)
    return np.array([share + (i < left) for i in range(parts)], dtype=np.int64)


def plan_cells(real: Cells, budget: Budget, known: Flags) -> Cells:
    """Synthetic images that a client with these `real` ones shall have, ``[n_classes, n_groups]``.

    A class without any real image gets `per_class`; in the others each cell of a known group is
    filled to `cell_target`, and to its share of `present` at least. Groups that are not `known`
    (`semantic.space.known_groups`) are never filled: nobody could say what their images shall show,
    or of whom they are.
    """
    groups = int(known.sum())
    if not groups:
        raise InputError(NOBODY_KNOWN)
    lacking = real.sum(1, keepdims=True) == 0
    filling = np.maximum(budget.cell_target - real[:, known], 0)
    present = np.maximum(filling, spread(budget.present, groups))
    wanted = np.zeros_like(real)
    wanted[:, known] = np.where(lacking, spread(budget.per_class, groups), present)
    return wanted


def split_evenly(wanted: Cells, which: Indices) -> Cells:
    """Divide what is wanted of joined groups among those they stand for.

    It is ``[n_classes, n_joined]``, and becomes ``[n_classes, n_groups]``. `which` has the joined
    group of each, −1 for one that gets nothing; the first groups of each get what is left.
    """
    found = np.zeros((len(wanted), len(which)), np.int64)
    for joined in set(which[which >= 0].tolist()):
        members = np.flatnonzero(which == joined)
        for row, total in zip(found, wanted[:, joined].tolist(), strict=True):
            row[members] = spread(total, len(members))
    return found
