"""Where scores lie that are counted in cells: single scores, or intervals of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.rates import FloatArray


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells of [0, 1], in order and without overlap.

    Parameters
    ----------
    low, high : ndarray of float64, shape (k,)
        Least and largest score of each cell: equal where it is one score.
    """

    low: FloatArray
    high: FloatArray

    def __len__(self) -> int:
        return len(self.low)

    @property
    def centre(self) -> FloatArray:
        """What a row of the cell counts as."""
        return (self.low + self.high) / 2

    @property
    def half(self) -> FloatArray:
        """How far a score may lie from it."""
        return (self.high - self.low) / 2

    @property
    def wide(self) -> NDArray[np.bool_]:
        """Cells that hold several scores."""
        return self.high > self.low

    def take(self, cells: NDArray[np.int64]) -> Grid:
        """Some of the cells."""
        return Grid(self.low[cells], self.high[cells])


def equal_bins(bins: int) -> Grid:
    """Bin `b` of `B` covers ``[b/B, (b+1)/B)``, the last one also 1."""
    edges = np.arange(bins + 1) / bins
    high = np.nextafter(edges[1:], 0)
    high[-1] = 1.0
    return Grid(edges[:-1], high)


def points(scores: FloatArray) -> Grid:
    """Cells of one score each."""
    return Grid(scores, scores)
