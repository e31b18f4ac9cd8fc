"""Which parts go together: built by name, and refused with the reason where they do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairfed.strategies.aggregation import Aggregation
from fairfed.strategies.bounds import Bounds
from fairfed.strategies.cohort import Probe
from fairfed.strategies.optimisers import OPTIMISERS, Replace, ServerOptimiser
from fairfed.strategies.part import check_range
from fairfed.strategies.robust import AGGREGATORS, Aggregator
from fairfed.strategies.rules import RULES, WeightRule
from fairfed.strategies.signals import MetricFn, Signal, make_signal
from semantic.errors import InputError

NOT_UNDERSTOOD = "rule '{rule}' cannot be steered by signal '{signal}': {reason}"
LOWERS = (
    "it takes weight from clients whose signal is large, and that one is about how the model "
    "serves a client: use 'gap', 'signed-gap' or 'probe'"
)
RAISES = (
    "it gives weight to clients that the model serves badly, and that one is a distance, not a "
    "loss: use 'loss', 'accuracy' or 'worst-group-recall'"
)
UNWEIGHTED = (
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
        raise InputError(UNWEIGHTED.format(aggregator=parts.aggregator.name, rule=rule.name))
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
