"""How far each client is from the federation, from group counts alone.

FairFed (Ezzeldin et al., AAAI 2023, arXiv 2110.00857): ``gap_k = |F_global - F_k|``, or
``|Acc_k - Acc_global|`` where the fairness metric is undefined because a group is missing at the
client. The global values are of the pooled counts, never a mean of client values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairfed.strategies.cohort import Cohort, Counts
from fairfed.strategies.signals.base import (
    Kind,
    MetricFn,
    Signal,
    Signals,
    accuracy,
    lower_is_fairer,
)

FALLBACK = "metric undefined for this client: gap of accuracy instead"
GLOBAL_FALLBACK = "metric undefined for the federation: gap of accuracy instead"


def gaps(counts: Sequence[Counts], metric: MetricFn, signed: bool = False) -> Signals:
    """Measure how far each client's metric is from that of the pooled counts.

    Parameters
    ----------
    counts : sequence of ndarray of int64, each of shape (G, C, C)
        Confusion counts of the received global model, one array per client.
    metric : callable
        Fairness metric.
    signed : bool
        Keep the sign, turned so that a positive gap means *less* fair than the federation.

    Returns
    -------
    Signals
        One gap per client, >= 0 unless signed; NaN for a client without counts.
    """
    if not counts:
        return Signals(np.zeros(0), ())
    pooled = np.sum(np.stack(counts), axis=0)
    overall, overall_accuracy = float(metric(pooled)), accuracy(pooled)
    values: list[float] = []
    notes: list[str | None] = []
    for own in counts:
        gap, note = float(metric(own)) - overall, None
        worse = gap if lower_is_fairer(metric) else -gap
        if np.isnan(worse):
            worse = overall_accuracy - accuracy(own)
            note = GLOBAL_FALLBACK if np.isnan(overall) else FALLBACK
        values.append(worse if signed else abs(worse))
        notes.append(note)
    return Signals(np.asarray(values, np.float64), tuple(notes))


@dataclass(frozen=True)
class Gap(Signal):
    """Distance of the client's fairness metric to the pooled one (FairFed's signal)."""

    name: ClassVar[str] = "gap"
    kind: ClassVar[Kind] = "gap"
    metric: MetricFn

    def __call__(self, cohort: Cohort) -> Signals:
        """Return the absolute gaps."""
        return gaps(cohort.by_group, self.metric)


@dataclass(frozen=True)
class SignedGap(Signal):
    """The same with its sign: positive where the model is less fair than for the federation.

    Departure from FairFed: a client on whose data the model is *fairer* than on average gains
    weight, where the absolute gap would take it.
    """

    name: ClassVar[str] = "signed-gap"
    kind: ClassVar[Kind] = "gap"
    metric: MetricFn

    def __call__(self, cohort: Cohort) -> Signals:
        """Return the signed gaps."""
        return gaps(cohort.by_group, self.metric, signed=True)
