"""Fairness signals: what the server reads off a round before it weighs the clients."""

from __future__ import annotations

from typing import Any

from fairfed.strategies.part import Registry, parameter_names
from fairfed.strategies.signals.base import Kind, MetricFn, Signal, Signals, accuracy, silent
from fairfed.strategies.signals.gap import FALLBACK, GLOBAL_FALLBACK, Gap, SignedGap, gaps
from fairfed.strategies.signals.probe import ProbeUnfairness
from fairfed.strategies.signals.risk import Accuracy, Loss, WorstGroupRecall
from semantic.errors import InputError

__all__ = [
    "FALLBACK",
    "GLOBAL_FALLBACK",
    "SIGNALS",
    "Accuracy",
    "Gap",
    "Kind",
    "Loss",
    "MetricFn",
    "ProbeUnfairness",
    "Signal",
    "Signals",
    "SignedGap",
    "WorstGroupRecall",
    "accuracy",
    "gaps",
    "make_signal",
    "silent",
]

SIGNALS: Registry[Signal] = Registry(
    "signal", Signal, Gap, SignedGap, ProbeUnfairness, Loss, Accuracy, WorstGroupRecall
)
"""Signals by name."""


def make_signal(name: str, metric: MetricFn | None) -> Signal:
    """Build a signal by name.

    Raises
    ------
    InputError
        Unknown name, or a signal of a fairness metric without one.
    """
    kind: type[Any] = SIGNALS.named(name)
    if "metric" not in parameter_names(kind):
        made: Signal = kind()
        return made
    if metric is None:
        raise InputError(f"signal '{name}' is of a fairness metric: give one")
    of_metric: Signal = kind(metric)
    return of_metric
