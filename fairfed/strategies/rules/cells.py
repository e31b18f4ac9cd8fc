"""What the rules that steer the clients' training by group have in common.

They read group errors off the pooled counts and send the clients weights of their training
examples by group and class; the aggregation itself is FedAvg's.
"""

from __future__ import annotations

import numpy as np

from fairfed.strategies.cohort import Counts, Floats

LARGEST_WEIGHT = 10.0
"""Most that a training example counts: one example of a rare cell must not be the data."""


def errors_by_cell(counts: Counts | Floats) -> tuple[Floats, Floats]:
    """Return the 0-1 loss of every cell, and its rows.

    Parameters
    ----------
    counts : ndarray, shape (G, C, C)
        Pooled confusion counts, or a moving sum of them.

    Returns
    -------
    errors : ndarray of float64, shape (G, C)
        Share of wrong predictions; NaN in a cell without rows.
    rows : ndarray of float64, shape (G, C)
        Examples of the cell.
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
