"""FedAvg: McMahan et al., AISTATS 2017, arXiv 1602.05629."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairfed.strategies.cohort import Cohort, Floats
from fairfed.strategies.rules.base import WeightRule
from fairfed.strategies.signals import Signals
from fairfed.strategies.weights import Weights, sanitise, shares


def fedavg_weights(n: Sequence[float] | Floats) -> Weights:
    """Weigh clients by their number of examples, ``n_k / sum(n)``; equally if none has one.

    A client whose number is NaN, infinite or negative is excluded.
    """
    return sanitise(shares(np.asarray(n, np.float64)), n)


@dataclass
class FedAvg(WeightRule):
    """``w_k = n_k / sum(n)``: the average example counts, whoever holds it."""

    name: ClassVar[str] = "fedavg"
    weighs: ClassVar[bool] = False

    def weigh(self, cohort: Cohort, signals: Signals) -> Weights:
        """Weigh by examples; signals are not read."""
        return fedavg_weights(cohort.n)
