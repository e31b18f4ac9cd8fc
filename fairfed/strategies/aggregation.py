"""From a round's cohort to the next model: measure, weigh, guard, merge, step. No messages.

And which parts go together: they are built by name, and refused with the reason where they do not.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fairfed.rounds.arrays import Model, add_prefixes, strip_prefixes, validate_update
from fairfed.strategies.cohort import Cohort, Probe
from fairfed.strategies.optimisers import OPTIMISERS, Replace, ServerOptimiser
from fairfed.strategies.part import Part, check_range
from fairfed.strategies.replies import ClientReply
from fairfed.strategies.robust import AGGREGATORS, Aggregator
from fairfed.strategies.rules import RULES, WeightRule
from fairfed.strategies.signals import MetricFn, Signal, Signals, make_signal, no_signal
from fairfed.strategies.weights import Bounds, Weights, bounded, drawn_down, shares_of
from semantic.errors import InputError

logger = logging.getLogger("fairfed")

OTHER_STRATEGY = "the saved strategy is {name}={saved!r}, this one has {name}={here!r}"
OTHER_ARRAYS = "the saved strategy has arrays that are none of this one's: {names}"
UNWEIGHTED = "weights not used: {aggregator}"
LOST = "round %d: the new model is not finite (%s); the old one is kept"
NOT_UNDERSTOOD = "rule '{rule}' cannot be steered by signal '{signal}': {reason}"
LOWERS = (
    "it takes weight from clients whose signal is large, and that one is about how the model "
    "serves a client: use 'gap', 'signed-gap' or 'probe'"
)
RAISES = (
    "it gives weight to clients that the model serves badly, and that one is a distance, not a "
    "loss: use 'loss', 'accuracy' or 'worst-group-recall'"
)
WEIGHTLESS = (
    "aggregator '{aggregator}' uses no weights, so rule '{rule}' would have no effect: leave one "
    "of the two out"
)
OWN_STEP = (
    "rule '{rule}' decides itself how far the model moves: server optimiser '{optimiser}' would "
    "undo that; use 'fedavg'"
)
NO_SERVER_SET = (
    "{what} evaluates the clients' models at the server, which has no examples: give "
    "FairnessSteered a 'probe'"
)
NOT_JUDGED = "rule '{rule}' reads the fairness of the clients' models at the server: use 'probe'"


@dataclass(frozen=True)
class Outcome:
    """What came of a round."""

    signals: Signals  # what was measured
    weights: Weights  # what the rule asked for and what was applied
    model: Model | None  # the next global model; None to keep the old one
    note: str | None = None  # what else a reader of the weights must know; nothing that a guard did

    def guard(self, k: int, steered: bool) -> str | None:
        """Say in one line why client ``k`` is not weighed as the rule asked."""
        notes = (self.signals.notes[k] if steered else None, self.weights.guards[k])
        return "; ".join(note for note in notes if note) or None


@dataclass(frozen=True)
class Weighed:
    """A round before its models are merged."""

    cohort: Cohort
    signals: Signals
    weights: Weights


@dataclass(frozen=True)
class Aggregation:
    """The parts of one strategy, and their order."""

    rule: WeightRule  # how weights follow from a round
    signal: Signal | None  # what is measured; None: nothing
    optimiser: ServerOptimiser  # what becomes of the aggregate
    aggregator: Aggregator | None  # replaces the weighted mean
    # Cap and floor of every weight; a robust aggregator reads no weights, and so has neither
    bounds: Bounds

    @property
    def steered(self) -> bool:
        """Whether the signal moves the weights, and is not only logged."""
        return bool(self.rule.steers_by)

    @property
    def needs_received(self) -> bool:
        """Whether the received model is needed, and not only the clients'."""
        own = self.rule.needs_updates or self.rule.own_step
        return own or self.optimiser.name != "fedavg"

    @property
    def needs_loss(self) -> bool:
        """Whether clients must report the loss of the received model."""
        return self.signal is not None and self.signal.needs_loss

    def run(self, cohort: Cohort) -> Outcome:
        """Aggregate one round, and remember what the next one needs."""
        return self.merge(self.weigh(cohort))

    def weigh(self, cohort: Cohort) -> Weighed:
        """Measure and weigh the clients of a round."""
        cohort = replace(cohort, bounds=self.bounds)
        signals = no_signal(len(cohort.clients))
        if self.signal is not None and cohort.clients:
            signals = self.signal(cohort)
        asked = self.rule.weigh(cohort, signals)
        weights, allowed = asked, cohort.holders & np.isfinite(asked.raw)
        if self.aggregator is None:
            weights = bounded(asked, cohort.n, self.bounds, allowed)
        return Weighed(cohort, signals, weights)

    def merge(self, weighed: Weighed) -> Outcome:
        """Merge the models of clients that have been weighed."""
        cohort, signals, weights = weighed.cohort, weighed.signals, weighed.weights
        if not weights.weight.sum() > 0:
            return Outcome(signals, weights, None)
        note = None
        with np.errstate(over="ignore", invalid="ignore"):  # found below, by its result
            if self.aggregator is None:
                merged = self.rule.merge(cohort, signals, weights)
            else:
                merged, weights = _robust(self.aggregator, cohort, weights)
                note = UNWEIGHTED.format(aggregator=self.aggregator)
            merged = self.optimiser.step(cohort.received, merged, cohort.round)
        reason = validate_update(merged, merged)
        if reason is not None:
            logger.warning(LOST, cohort.round, reason)
        return Outcome(signals, weights, merged if reason is None else None, note)

    def needs_models(self) -> str | None:
        """What needs the clients' models one by one, which a sum under masks hides; None: nothing.

        Such a rule, signal or aggregator works on what nobody learns there.
        """
        if self.aggregator is not None:
            return f"aggregator '{self.aggregator.name}'"
        if self.rule.needs_updates or self.rule.needs_server_set:
            return f"rule '{self.rule.name}'"
        if self.signal is not None and self.signal.needs_probe:
            return f"signal '{self.signal.name}'"
        return None

    def describe(self) -> tuple[str, ...]:
        """Return the parts and their parameters in words, a line each."""
        metric = getattr(self.signal, "metric", None)
        of = getattr(metric, "name", getattr(metric, "__name__", "")) if metric else ""
        measured = f"{self.signal.name} {f'of {of}' if of else ''}" if self.signal else "none"
        merged = self.aggregator or (
            f"weighted mean, no weight above {self.bounds.max_weight:g} or below "
            f"{self.bounds.min_share:g} of the client's share of the examples"
        )
        return (
            f"Rule: {self.rule}",
            f"Signal: {measured.rstrip()}",
            f"Merged by: {merged}",
            f"Server optimiser: {self.optimiser}",
        )

    def identity(self) -> dict[str, Any]:
        """Return what a checkpoint's strategy must agree in with this one."""
        return {
            "rule": self.rule.name,
            **self.rule.parameters(),
            "signal": self.signal.name if self.signal and self.steered else None,
            "server_optimiser": str(self.optimiser),
            "aggregator": str(self.aggregator) if self.aggregator else None,
            **asdict(self.bounds),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return identity and state, as far as JSON can hold them."""
        return {**self.identity(), "state": self.rule.state_dict()}

    def state_arrays(self) -> Model:
        """Return the state that is as large as a model: momenta of the rule and the optimiser."""
        return add_prefixes(
            {"rule": self.rule.state_arrays(), "optimiser": self.optimiser.state_arrays()}
        )

    def load(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` and :meth:`state_arrays` of like parts returned."""
        refuse_other(self.identity(), state)
        of_rule, of_optimiser, others = strip_prefixes(arrays, "rule", "optimiser")
        if others:
            raise InputError(OTHER_ARRAYS.format(names=", ".join(others)))
        self.rule.load_state_dict(state["state"])
        self.rule.load_state_arrays(of_rule)
        self.optimiser.load_state_arrays(of_optimiser)


class Inversion(Part, ABC):
    """A part of the strategy that acts after every aggregation.

    Which ones there are stands in `fairfed.systems.inversion.server`.
    """

    @abstractmethod
    def after(
        self,
        number: int,
        outcome: Outcome,
        replies: Sequence[ClientReply],
        models: Mapping[int, Model],
    ) -> tuple[Outcome, dict[str, Any] | None]:
        """What becomes of a round's outcome, and the entry `inversion` of its log, if any.

        Weights are in the order of the usable `replies`, whose models are by partition id; the
        outcome's model is None where there is no aggregate.
        """


def refuse_other(identity: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Refuse a saved state that is of other parts or of other parameters."""
    for name, here in identity.items():
        if state.get(name) != here:
            raise InputError(OTHER_STRATEGY.format(name=name, saved=state.get(name), here=here))


def _robust(aggregator: Aggregator, cohort: Cohort, weights: Weights) -> tuple[Model, Weights]:
    """Merge the clients that have a weight at all; the model, and what weighed instead."""
    here = np.flatnonzero(weights.weight > 0)
    merged, inside = aggregator.merge([cohort.models[k] for k in here])
    applied = np.zeros(len(weights.weight))
    applied[here] = inside
    held = shares_of(cohort.n, cohort.holders)
    low = drawn_down(applied, held, cohort.holders)
    return merged, replace(weights, weight=applied, drawn_down=tuple(low.tolist()))


def combine(
    rule: str | WeightRule,
    options: Mapping[str, Any],
    signal: str | Signal | None,
    metric: MetricFn | None,
    optimiser: str | ServerOptimiser,
    aggregator: str | Aggregator | None,
    bounds: Bounds,
    probe: Probe | None,
) -> Aggregation:
    """Build the parts that are given by name; those given as objects are taken as they are.

    Without a ``signal``, a rule that is steered gets the one it was published with, and for any
    other rule the gap of ``metric`` is measured for the log. Parts that make no sense together are
    refused, as are a signal without its metric, unknown names and options, and parameters out of
    range.
    """
    made = RULES.make(rule, options) if isinstance(rule, str) else rule
    if signal is None and made.steers_by:
        signal = made.signal
    elif signal is None and metric is not None:
        signal = "gap"
    if isinstance(optimiser, str):
        optimiser = OPTIMISERS.make(optimiser, {})
    if isinstance(aggregator, str):
        aggregator = AGGREGATORS.make(aggregator, {})
    measured = make_signal(signal, metric) if isinstance(signal, str) else signal
    check_range("max_weight", bounds.max_weight, 0.0, 1.0, above=True)
    check_range("min_share", bounds.min_share, 0.0, 1.0)
    parts = Aggregation(made, measured, optimiser, aggregator, bounds)
    _check(parts, probe)
    return parts


def _check(parts: Aggregation, probe: Probe | None) -> None:
    """Refuse parts that make no sense together."""
    rule, signal = parts.rule, parts.signal
    _check_signal(rule, signal)
    if rule.own_step and not isinstance(parts.optimiser, Replace):
        raise InputError(OWN_STEP.format(rule=rule.name, optimiser=parts.optimiser.name))
    if parts.aggregator is not None and rule.weighs:
        raise InputError(WEIGHTLESS.format(aggregator=parts.aggregator.name, rule=rule.name))
    if probe is None and rule.needs_server_set:
        raise InputError(NO_SERVER_SET.format(what=f"rule '{rule.name}'"))
    if probe is None and signal is not None and signal.needs_probe:
        raise InputError(NO_SERVER_SET.format(what=f"signal '{signal.name}'"))


def _check_signal(rule: WeightRule, signal: Signal | None) -> None:
    """Refuse a signal that the rule would read the wrong way round."""
    if not rule.steers_by:
        return
    if signal is None or signal.kind not in rule.steers_by:
        reason = LOWERS if "gap" in rule.steers_by else RAISES
        name = "none" if signal is None else signal.name
        raise InputError(NOT_UNDERSTOOD.format(rule=rule.name, signal=name, reason=reason))
    if rule.needs_server_set and not signal.needs_probe:
        raise InputError(NOT_JUDGED.format(rule=rule.name))
