"""What a fairness signal is: one number per client and round, and why it may be missing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fairfed.strategies.cohort import Cohort, Counts, Floats

MetricFn = Callable[[Counts], float]
"""A fairness metric of confusion counts ``[G, C(true), C(predicted)]``; NaN where undefined."""

Kind = Literal["gap", "risk", "merit"]
"""``gap``: how unfair, or how far from the federation, large is bad of the client's contribution;
``risk``: how badly the received model serves the client; ``merit``: how well, in [0, 1]."""


@dataclass(frozen=True)
class Signals:
    """The signal of every client of one round.

    Attributes
    ----------
    values : ndarray of float64, shape (K,)
        One value per client; NaN where there is none.
    notes : tuple of (str or None), length K
        Why another quantity stood in.
    kind : {"gap", "risk", "merit"}
        What a large value means.
    reference : float
        The same quantity of the received global model, where the signal has one; else NaN.
    """

    values: Floats
    notes: tuple[str | None, ...]
    kind: Kind = "gap"
    reference: float = float("nan")

    @property
    def risks(self) -> Floats:
        """The values turned so that large means badly served."""
        return 1.0 - self.values if self.kind == "merit" else self.values


class Signal(ABC):
    """Measures the clients of a round."""

    name: ClassVar[str]
    kind: ClassVar[Kind]
    needs_loss: ClassVar[bool] = False
    """Whether clients must report the loss of the received model."""
    needs_probe: ClassVar[bool] = False
    """Whether the server must hold examples to evaluate models on."""

    @abstractmethod
    def __call__(self, cohort: Cohort) -> Signals:
        """Return one value per client."""


def silent(size: int) -> Signals:
    """Return no signal for any client."""
    return Signals(np.full(size, np.nan), (None,) * size)


def accuracy(counts: Counts) -> float:
    """Return the share of correct predictions of counts ``[G, C, C]``; NaN without a row."""
    total = int(counts.sum())
    return float(np.trace(counts.sum(axis=0)) / total) if total else float("nan")


def lower_is_fairer(metric: MetricFn) -> bool:
    """Say which way a metric goes; a function that does not say is taken for a difference."""
    return getattr(metric, "direction", "lower") != "higher"
