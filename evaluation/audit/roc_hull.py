"""What thresholds on one group's scores can reach: the upper hull of its ROC points, in counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.grid import Grid
from evaluation.audit.number_text import simplest
from evaluation.rates import FloatArray

MOST = 0.9
"""Share of the points that stay, beyond which leaving out more is not worth another look."""


@dataclass(frozen=True, eq=False)
class Hull:
    """Corners of the upper convex hull, from selecting nobody to selecting everybody.

    A mix of thresholds, each used for a share of the rows drawn at random, reaches every point
    between its corners. Points below the hull are reached by mixing with "nobody" and "everybody".

    Parameters
    ----------
    thresholds : ndarray of float64, shape (k,)
        Falling; a row is selected when its score is at least the threshold. One above 1 selects
        nobody.
    alarms, hits : ndarray of float64, shape (k,)
        Selected rows that are not and that are of the class (false and true positives).
    """

    thresholds: FloatArray
    alarms: FloatArray
    hits: FloatArray

    @property
    def negatives(self) -> float:
        """Rows that are not of the class."""
        return float(self.alarms[-1])

    @property
    def positives(self) -> float:
        """Rows of the class."""
        return float(self.hits[-1])


NOBODY = 1 + 2.0**-10
"""A threshold that no score reaches."""


def roc_hull(histogram: FloatArray, grid: Grid) -> Hull:
    """Hull of the thresholds between the cells of scores.

    Parameters
    ----------
    histogram : ndarray, shape (2, k)
        Rows that are not (0) and that are (1) of the class, by cell of the score.
    grid : Grid
        The cells; thresholds of several digits give way to shorter ones that select the same rows.
    """
    held = np.flatnonzero(histogram.any(axis=0))[::-1]
    # From the threshold above all scores to the least score of all.
    alarms, hits = (np.concatenate([[0.0], np.cumsum(own[held])]) for own in histogram)
    corners = _upper(alarms, hits)
    below = [*grid.high[held[1:]], -1.0]
    thresholds = [
        simplest(float(below[i - 1]), float(grid.low[held[i - 1]])) if i else NOBODY
        for i in corners
    ]
    return Hull(np.array(thresholds), alarms[corners], hits[corners])


def _upper(x: FloatArray, y: FloatArray) -> NDArray[np.int64]:
    """Corners of the upper hull of points that never fall (Andrew 1979, the monotone chain)."""
    kept: list[int] = []
    for i in _candidates(x, y):
        while len(kept) >= 2:
            a, b = kept[-2], kept[-1]
            if _above(x, y, a, b, i):
                break
            kept.pop()
        kept.append(i)
    return np.array(kept, np.int64)


def _candidates(x: FloatArray, y: FloatArray) -> list[int]:
    """The points without most of those that lie below others: it spares the chain a long way."""
    kept = np.arange(len(x))
    while len(kept) > 2:
        corner = _above(x, y, kept[:-2], kept[1:-1], kept[2:])
        if corner.mean() > MOST:
            break
        kept = kept[np.concatenate([[True], corner, [True]])]
    return [int(i) for i in kept]


def _above(x: FloatArray, y: FloatArray, a: Any, b: Any, c: Any) -> Any:
    """Whether point `b` lies above the line from `a` to `c`."""
    return (y[b] - y[a]) * (x[c] - x[a]) > (y[c] - y[a]) * (x[b] - x[a])
