"""Rows drawn with replacement, counted by cell.

A multinomial draw visits every cell, however few rows fall into it. So where there are few rows to
a cell they are drawn one by one: the distribution is the same, and the time that of the rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.sparse import IntArray

FEW = 8
"""Rows to a cell up to which one by one is faster."""
LISTED = 2**20
"""Rows of which each has its cell listed; of more, the cell is searched for."""


def few(rows: IntArray | int, cells: int) -> NDArray[np.bool_]:
    """Whether so many rows, drawn over so many cells, are drawn one by one."""
    return np.asarray(rows <= FEW * cells)


def drawn_rows(rows: IntArray, sizes: IntArray, rng: np.random.Generator) -> IntArray:
    """Draw rows one by one.

    Parameters
    ----------
    rows : ndarray of int64, shape (cells,)
        Rows to draw from.
    sizes : ndarray of int64, shape (...)
        How many each draw takes; none where there are no rows.
    rng
        Source of randomness.

    Returns
    -------
    ndarray of int64, shape (..., cells)
    """
    cells, total = len(rows), int(rows.sum())
    which = rng.integers(max(total, 1), size=int(sizes.sum()))
    if total <= LISTED:
        found = np.repeat(np.arange(cells), rows)[which]
    else:
        found = np.searchsorted(np.cumsum(rows), which, side="right")
    found += np.repeat(np.arange(sizes.size) * cells, sizes.ravel())
    return np.bincount(found, minlength=sizes.size * cells).reshape(*sizes.shape, cells)
