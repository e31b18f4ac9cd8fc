"""Probe steering [ours]: judge every client's update on examples that the server holds.

The server evaluates each client's *trained model* on a balanced set (every class x group cell,
synthesised or given), and reads the fairness metric of those counts. Nothing that a client says
about itself enters, so it cannot talk its way to a larger weight; its model must be fair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairfed.strategies.aggregate import Model
from fairfed.strategies.cohort import Cohort, Counts
from fairfed.strategies.signals.base import Kind, MetricFn, Signal, Signals, lower_is_fairer

NO_PROBE = "signal 'probe' needs examples at the server to evaluate models on: give a 'probe'"


def unfairness(counts: Counts, metric: MetricFn) -> float:
    """Return the metric turned so that 0 is fair: itself if a difference, 1 less it if a ratio."""
    value = float(metric(counts))
    return value if lower_is_fairer(metric) else 1.0 - value


@dataclass(frozen=True)
class ProbeUnfairness(Signal):
    """Unfairness of each client's trained model on the server's examples; 0 is fair."""

    name: ClassVar[str] = "probe"
    kind: ClassVar[Kind] = "gap"
    needs_probe: ClassVar[bool] = True
    metric: MetricFn

    def __call__(self, cohort: Cohort) -> Signals:
        """Return the unfairness of every model, and of the received one as reference.

        Raises
        ------
        ValueError
            The cohort has no probe.
        """
        probe = cohort.probe
        if probe is None:
            raise ValueError(NO_PROBE)

        def judged(model: Model) -> float:
            return unfairness(cohort.of_known(probe(model)), self.metric)

        values = [judged(model) for model in cohort.models]
        reference = judged(cohort.received) if cohort.received else float("nan")
        return Signals(np.asarray(values, np.float64), (None,) * len(values), self.kind, reference)
