"""What thresholds on one group's scores can reach: the upper hull of its ROC points, in counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.rates import FloatArray


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


def roc_hull(histogram: FloatArray) -> Hull:
    """Hull of the thresholds at the edges of the bins.

    Parameters
    ----------
    histogram : ndarray, shape (2, bins)
        Rows that are not (0) and that are (1) of the class, by bin of the score.
    """
    bins = histogram.shape[-1]
    # From the highest threshold, above all scores, down to 0.
    thresholds = np.arange(bins + 1, -1, -1) / bins
    thresholds = np.delete(thresholds, 1)  # at 1 it selects none of [0, 1) and splits the last bin
    selected = np.concatenate([np.zeros((2, 1)), np.cumsum(histogram[:, ::-1], axis=1)], axis=1)
    moved = np.concatenate([[True], (np.diff(selected, axis=1) > 0).any(axis=0)])
    corners = _upper(selected[0, moved], selected[1, moved])
    return Hull(
        thresholds[moved][corners], selected[0, moved][corners], selected[1, moved][corners]
    )


def _upper(x: FloatArray, y: FloatArray) -> NDArray[np.int64]:
    """Corners of the upper hull of points that never fall (Andrew 1979, the monotone chain)."""
    kept: list[int] = []
    for i in range(len(x)):
        while len(kept) >= 2:
            a, b = kept[-2], kept[-1]
            if (y[b] - y[a]) * (x[i] - x[a]) > (y[i] - y[a]) * (x[b] - x[a]):
                break
            kept.pop()
        kept.append(i)
    return np.array(kept, np.int64)
