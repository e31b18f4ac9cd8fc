"""How far each client is from the federation, from group counts alone.

FairFed (Ezzeldin et al., AAAI 2023, arXiv 2110.00857): ``gap_k = |F_global - F_k|``, or
``|Acc_k - Acc_global|`` where the fairness metric is undefined because a group is missing at the
client. The global values are of the pooled counts, never a mean of client values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
MetricFn = Callable[[Counts], float]
"""A fairness metric of confusion counts ``[G, C(true), C(predicted)]``; NaN where undefined."""

FALLBACK = "metric undefined for this client: gap of accuracy instead"
GLOBAL_FALLBACK = "metric undefined for the federation: gap of accuracy instead"


@dataclass(frozen=True)
class Signals:
    """Gaps of the clients of one round.

    Attributes
    ----------
    gaps : ndarray of float64, shape (K,)
        Distance to the pooled value, >= 0; NaN for a client without counts.
    notes : tuple of (str or None), length K
        Why accuracy stood in for the metric.
    """

    gaps: NDArray[np.float64]
    notes: tuple[str | None, ...]


def accuracy(counts: Counts) -> float:
    """Return the share of correct predictions of counts ``[G, C, C]``; NaN without a row."""
    total = int(counts.sum())
    return float(np.trace(counts.sum(axis=0)) / total) if total else float("nan")


def gaps(counts: Sequence[Counts], metric: MetricFn) -> Signals:
    """Measure how far each client's metric is from that of the pooled counts.

    Parameters
    ----------
    counts : sequence of ndarray of int64, each of shape (G, C, C)
        Confusion counts of the received global model, one array per client.
    metric : callable
        Fairness metric.

    Returns
    -------
    Signals
        One gap per client.
    """
    if not counts:
        return Signals(np.zeros(0), ())
    pooled = np.sum(np.stack(counts), axis=0)
    overall, overall_accuracy = float(metric(pooled)), accuracy(pooled)
    values: list[float] = []
    notes: list[str | None] = []
    for own in counts:
        value = float(metric(own))
        gap, note = abs(value - overall), None
        if np.isnan(gap):
            gap = abs(accuracy(own) - overall_accuracy)
            note = GLOBAL_FALLBACK if np.isnan(overall) else FALLBACK
        values.append(gap)
        notes.append(note)
    return Signals(np.asarray(values, np.float64), tuple(notes))
