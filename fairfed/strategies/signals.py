"""Fairness signals: what the server reads off a round before it weighs the clients.

A signal is one number per client and round, or the reason why it is missing. It is read off group
counts alone (how far each client is from the federation; how well the received model serves it),
off the losses that clients report, or off their models on examples that the server holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from evaluation.metrics import worst_cell_recall
from evaluation.rates import accuracy
from fairfed.rounds.arrays import Model
from fairfed.strategies.cohort import Cohort, Counts, Floats
from fairfed.strategies.part import Registry, parameter_names
from semantic.errors import InputError

FALLBACK = "metric undefined for this client: gap of accuracy instead"
GLOBAL_FALLBACK = "metric undefined for the federation: gap of accuracy instead"
NO_PROBE = "signal 'probe' needs examples at the server to evaluate models on: give a 'probe'"
LARGEST_LOSS = 1e6
"""A cross-entropy beyond this has diverged or is a lie; it counts as this much."""

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


def measured(values: Sequence[float] | Floats, kind: Kind, reference: float = np.nan) -> Signals:
    """Return signals for which nothing had to stand in."""
    return Signals(np.asarray(values, np.float64), (None,) * len(values), kind, reference)


def no_signal(size: int) -> Signals:
    """Return no signal for any client."""
    return measured(np.full(size, np.nan), "gap")


def lower_is_fairer(metric: MetricFn) -> bool:
    """Say which way a metric goes; a function that does not say is taken for a difference."""
    return getattr(metric, "direction", "lower") != "higher"


def gaps(counts: Sequence[Counts], metric: MetricFn, signed: bool = False) -> Signals:
    """Measure how far each client's metric is from that of the pooled counts; NaN without counts.

    FairFed (Ezzeldin et al., AAAI 2023, arXiv 2110.00857): ``gap_k = |F_global - F_k|``, or
    ``|Acc_k - Acc_global|`` where the fairness metric is undefined because a group is missing at
    the client. The global values are of the pooled counts, never a mean of client values. The
    counts ``[G, C, C]`` are of the received global model, one array per client. With its sign, a
    positive gap means *less* fair than the federation.
    """
    if not counts:
        return Signals(np.zeros(0), ())
    pooled = np.sum(np.stack(counts), axis=0)
    overall, overall_accuracy = float(metric(pooled)), float(accuracy(pooled))
    values: list[float] = []
    notes: list[str | None] = []
    for own in counts:
        gap, note = float(metric(own)) - overall, None
        worse = gap if lower_is_fairer(metric) else -gap
        if np.isnan(worse):
            worse = overall_accuracy - float(accuracy(own))
            note = GLOBAL_FALLBACK if np.isnan(overall) else FALLBACK
        values.append(worse if signed else abs(worse))
        notes.append(note)
    return Signals(np.asarray(values, np.float64), tuple(notes))


@dataclass(frozen=True)
class Gap(Signal):
    """Distance of the client's fairness metric to the pooled one (FairFed's signal)."""

    name: ClassVar[str] = "gap"
    kind: ClassVar[Kind] = "gap"
    signed: ClassVar[bool] = False
    metric: MetricFn

    def __call__(self, cohort: Cohort) -> Signals:
        """Return the gaps of all clients."""
        return gaps(cohort.by_group, self.metric, self.signed)


@dataclass(frozen=True)
class SignedGap(Gap):
    """The same with its sign: positive where the model is less fair than for the federation.

    Departure from FairFed: a client on whose data the model is *fairer* than on average gains
    weight, where the absolute gap would take it.
    """

    name: ClassVar[str] = "signed-gap"
    signed: ClassVar[bool] = True


def unfairness(counts: Counts, metric: MetricFn) -> float:
    """Return the metric turned so that 0 is fair: itself if a difference, 1 less it if a ratio."""
    value = float(metric(counts))
    return value if lower_is_fairer(metric) else 1.0 - value


@dataclass(frozen=True)
class ProbeUnfairness(Signal):
    """Unfairness of each client's trained model on the server's examples [ours]; 0 is fair.

    The examples are a balanced set (every class x group cell, synthesised or given). Nothing that a
    client says about itself enters, so it cannot talk its way to a larger weight; its model must be
    fair.
    """

    name: ClassVar[str] = "probe"
    kind: ClassVar[Kind] = "gap"
    needs_probe: ClassVar[bool] = True
    metric: MetricFn

    def __call__(self, cohort: Cohort) -> Signals:
        """Return the unfairness of every model, and of the received one as reference."""
        probe = cohort.probe
        if probe is None:
            raise ValueError(NO_PROBE)

        def judged(model: Model) -> float:
            return unfairness(cohort.of_known(probe(model)), self.metric)

        values = [judged(model) for model in cohort.models]
        reference = judged(cohort.received) if cohort.received else float("nan")
        return measured(values, self.kind, reference)


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
        return measured(losses, self.kind)


@dataclass(frozen=True)
class Accuracy(Signal):
    """Accuracy of the received model on the client's real training data, in [0, 1]."""

    name: ClassVar[str] = "accuracy"
    kind: ClassVar[Kind] = "merit"

    def __call__(self, cohort: Cohort) -> Signals:
        """Return the accuracies; NaN for a client without counts."""
        return measured([float(accuracy(own)) for own in cohort.counts], self.kind)


@dataclass(frozen=True)
class WorstGroupRecall(Signal):
    """Lowest recall of a class x group cell that the client holds, in [0, 1]."""

    name: ClassVar[str] = "worst-group-recall"
    kind: ClassVar[Kind] = "merit"

    def __call__(self, cohort: Cohort) -> Signals:
        """Return the worst recalls; NaN for a client without counts."""
        return measured([float(worst_cell_recall(own)) for own in cohort.by_group], self.kind)


SIGNALS: Registry[Signal] = Registry(
    "signal", Signal, Gap, SignedGap, ProbeUnfairness, Loss, Accuracy, WorstGroupRecall
)
"""Signals by name."""


def make_signal(name: str, metric: MetricFn | None) -> Signal:
    """Build a signal by name; one of a fairness metric is refused without one."""
    kind: type[Any] = SIGNALS.named(name)
    if "metric" not in parameter_names(kind):
        made: Signal = kind()
        return made
    if metric is None:
        raise InputError(f"signal '{name}' is of a fairness metric: give one")
    of_metric: Signal = kind(metric)
    return of_metric
