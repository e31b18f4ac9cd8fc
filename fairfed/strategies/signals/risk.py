"""How well the received global model serves each client: its loss, accuracy, worst recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairfed.strategies.cohort import Cohort
from fairfed.strategies.signals.base import Kind, Signal, Signals, accuracy

LARGEST_LOSS = 1e6
"""A cross-entropy beyond this has diverged or is a lie; it counts as this much."""


@dataclass(frozen=True)
class Loss(Signal):
    """Mean loss of the *received* model on the client's real training data, before it trains.

    This is the ``F_k(w)`` of AFL, q-FFL and TERM. A client reports it, and so can lie about it.
    """

    name: ClassVar[str] = "loss"
    kind: ClassVar[Kind] = "risk"
    needs_loss: ClassVar[bool] = True

    def __call__(self, cohort: Cohort) -> Signals:
        """Return the losses; one that is negative or not finite is no signal."""
        usable = np.isfinite(cohort.losses) & (cohort.losses >= 0)
        losses = np.where(usable, np.minimum(cohort.losses, LARGEST_LOSS), np.nan)
        return Signals(losses, (None,) * len(losses), self.kind)


@dataclass(frozen=True)
class Accuracy(Signal):
    """Accuracy of the received model on the client's real training data, in [0, 1]."""

    name: ClassVar[str] = "accuracy"
    kind: ClassVar[Kind] = "merit"

    def __call__(self, cohort: Cohort) -> Signals:
        """Return the accuracies; NaN for a client without counts."""
        values = np.asarray([accuracy(own) for own in cohort.counts], np.float64)
        return Signals(values, (None,) * len(values), self.kind)


@dataclass(frozen=True)
class WorstGroupRecall(Signal):
    """Lowest recall of a class x group cell that the client holds, in [0, 1]."""

    name: ClassVar[str] = "worst-group-recall"
    kind: ClassVar[Kind] = "merit"

    def __call__(self, cohort: Cohort) -> Signals:
        """Return the worst recalls; NaN for a client without counts."""
        from evaluation.metrics import worst_cell_recall

        values = np.asarray([float(worst_cell_recall(own)) for own in cohort.by_group], np.float64)
        return Signals(values, (None,) * len(values), self.kind)
