"""What a weight rule is: a pure function of a round, with a memory and declared needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from fairfed.rounds.arrays import Model
from fairfed.strategies.aggregate import stepped
from fairfed.strategies.cohort import Cohort, Floats
from fairfed.strategies.part import Part
from fairfed.strategies.signals import Kind, Signals
from fairfed.strategies.weights import Weights


class WeightRule(Part, ABC):
    """Turns the signals of a round into weights, and the clients' models into one.

    A rule that only weighs implements :meth:`weigh`. One that needs the updates themselves reads
    ``cohort.updates`` there, or replaces :meth:`merge`: this is the only hook to them.
    """

    steers_by: ClassVar[frozenset[Kind]] = frozenset()
    """Kinds of signal that the rule understands; empty: it reads none."""
    signal: ClassVar[str] = "gap"
    """Name of the signal it was published with."""
    needs_updates: ClassVar[bool] = False
    """Reads the clients' updates one by one, which secure aggregation would hide."""
    needs_server_set: ClassVar[bool] = False
    """Evaluates models on examples that the server holds."""
    own_step: ClassVar[bool] = False
    """Decides how far the model moves: no server optimiser can follow."""
    weighs: ClassVar[bool] = True
    """Steers the aggregation weights; False: they are FedAvg's, and the clients are steered."""

    @abstractmethod
    def weigh(self, cohort: Cohort, signals: Signals) -> Weights:
        """Return the weights of this round, and remember what the next one needs."""

    def merge(self, cohort: Cohort, signals: Signals, weights: Weights) -> Model:
        """Return the new model from weights that sum to 1."""
        mean = cohort.mean(weights.weight)
        return mean if weights.scale == 1.0 else stepped(cohort.received, mean, weights.scale)

    def cell_weights(self) -> Floats | None:
        """Return weights ``[G, C]`` of training examples by group and class, for the clients."""
        return None

    def cell_target(self) -> Floats | None:
        """Return a distribution ``[G, C]`` that every client's weighted examples shall follow."""
        return None
