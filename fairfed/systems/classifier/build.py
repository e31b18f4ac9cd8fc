"""The strategy of an arm, from the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evaluation import get_metric
from fairfed.config import Arm, Config
from fairfed.config.model import Agreement
from fairfed.config.training import masks, training_settings
from fairfed.models.private import unfit
from fairfed.sites.workplace import Workplace
from fairfed.strategies.cohort import Probe
from fairfed.strategies.loop import ClosedLoop
from fairfed.strategies.optimisers import OPTIMISERS
from fairfed.strategies.part import parameter_names
from fairfed.strategies.robust import AGGREGATORS
from fairfed.strategies.rules import RULES
from fairfed.strategies.signals import SIGNALS
from fairfed.strategies.steered import FairnessSteered
from fairfed.strategies.weights import AS_PUBLISHED, Bounds
from fairfed.systems.classifier.scaffold import Scaffold
from fairfed.systems.classifier.server_side import ServerTrained, Trainer
from fairfed.systems.inversion.server import inversion_of
from semantic.errors import InputError

TWICE = (
    "rule 'parity' weighs examples towards one distribution, and debias '{debias}' would weigh "
    "them again: set debias = 'none'"
)
MIXES = (
    "train.dp: model {model!r} cannot be trained row by row ({reason}); choose one without "
    "BatchNorm, as 'cnn-gn', 'lenet' or 'clip-head'"
)
MASKED = (
    "arm '{arm}': {needs} reads the clients' models one by one, and with privacy.secure_sum the "
    "server learns their weighted sum alone; choose another, or leave secure_sum out"
)
NO_AGGREGATOR = "aggregator 'mean' has no options; the rule's are in 'options'"
NO_TABLE = (
    "rule '{rule}' or its signal judges models on synthetic images, which a table has not: set "
    "fairness.probe_source = 'validation'"
)
NO_PROBE = "rule '{rule}' or its signal judges models at the server: set fairness.probe above 0"
NO_ROWS = (
    "fairness.probe_source 'validation' is the validation rows of a table, and the data are "
    "images: set it to 'synthetic', and fairness.probe above 0"
)
NO_VALIDATION = (
    "rule '{rule}' or its signal judges models on validation rows: set data.table.validation "
    "above 0"
)


def build_strategy(
    place: Workplace,
    arm: Arm,
    probe: Probe | None = None,
    trainer: Trainer | None = None,
    known: Sequence[bool] | None = None,
) -> FairnessSteered:
    """Build the strategy that an arm of the server's study describes.

    The probe evaluates a model on examples of the server, the trainer trains there, in an arm whose
    server trains; `known` says which groups' sensitive values are known (None: all).

    Raises
    ------
    InputError
        An option that the part has not, or parts that make no sense together; the message names
        the arm.
    """
    config, labels = place.study, place.labels
    shape = labels.shape
    try:
        aggregator = None
        if arm.aggregator != "mean":
            aggregator = AGGREGATORS.make(arm.aggregator, arm.aggregator_options)
        elif arm.aggregator_options:
            raise InputError(NO_AGGREGATOR)
        debias = arm.debias or config.train.debias
        if arm.rule == "parity" and debias != "none":
            raise InputError(TWICE.format(debias=debias))
        kind, further = _kind(arm, trainer)
        return kind(
            shape,
            rule=arm.rule,
            options={**_of_the_run(config, arm, RULES.named(arm.rule)), **arm.options},
            signal=arm.signal,
            metric=get_metric(config.fairness.metric),
            optimiser=OPTIMISERS.make(
                arm.server_optimiser,
                {
                    **_of_the_run(config, arm, OPTIMISERS.named(arm.server_optimiser)),
                    **arm.server_options,
                },
            ),
            aggregator=aggregator,
            probe=probe,
            **asdict(bounds_of(config, arm)),
            known=known,
            loop=_loop(config, arm, known),
            inversion=inversion_of(place, arm),
            **further,
        )
    except InputError as error:
        raise InputError(f"arm '{arm.name}': {error}") from error


def _kind(arm: Arm, trainer: Trainer | None) -> tuple[type[FairnessSteered], dict[str, Any]]:
    """The class of an arm's strategy, and its own arguments."""
    if arm.control_variates:
        return Scaffold, {}
    if arm.server_trains:
        return ServerTrained, {"trainer": trainer, "server_rounds": arm.server_rounds}
    return FairnessSteered, {}


def bounds_of(config: Agreement, arm: Arm) -> Bounds:
    """Between what the rule of an arm may move a weight: nothing bounds it as it was published."""
    fairness = config.fairness
    if published(config, arm):
        return AS_PUBLISHED
    return Bounds(fairness.max_weight, fairness.min_share)


def published(config: Agreement, arm: Arm) -> bool:
    """Say whether an arm runs its rule exactly as it was published."""
    return config.fairness.as_published if arm.as_published is None else arm.as_published


def needs_probe(arm: Arm) -> bool:
    """Say whether an arm judges models on examples of the server."""
    judging = arm.signal is not None and SIGNALS.named(arm.signal).needs_probe
    return judging or RULES.named(arm.rule).needs_server_set


def check_arms(config: Config, place: Workplace) -> None:
    """Build every arm's strategy once, to refuse what makes no sense before anything is trained.

    Beside what :func:`build_strategy` refuses: an arm that needs a probe where there is none.
    """
    for arm in config.arms:
        reason = _no_probe(config) if needs_probe(arm) else None
        if reason is not None:
            raise InputError(f"arm '{arm.name}': {reason.format(rule=arm.rule)}")
        strategy = build_strategy(place, arm, _promised if needs_probe(arm) else None)
        needs = strategy.parts.needs_models() if masks(config, arm) else None
        if needs is not None:
            raise InputError(MASKED.format(arm=arm.name, needs=needs))
        # (A table's model is known only when its columns are fitted, and has no such layer.)
        if config.train.dp is not None and arm.sends_model and not config.data.tabular:
            reason = unfit(place.model(arm))
            if reason is not None:
                raise InputError(MIXES.format(model=config.model, reason=reason))


def _no_probe(config: Config) -> str | None:
    """Why the server has no examples to judge models on; None if it will have some."""
    data = config.data
    if config.fairness.probe_source == "synthetic":
        return NO_TABLE if data.tabular else None if config.fairness.probe else NO_PROBE
    if not data.tabular:
        return NO_ROWS
    return None if data.table.validation else NO_VALIDATION


def _promised(model: Mapping[str, Any]) -> Any:
    """Stand for the probe of a run that has not begun; nothing is evaluated on it."""
    raise RuntimeError("the probe set is made when the run begins")


def _loop(config: Agreement, arm: Arm, known: Sequence[bool] | None) -> ClosedLoop | None:
    """The closed loop of an arm that replans."""
    how = config.synthesis
    if not arm.replan:
        return None
    every, budget, most = arm.replan, how.replan_budget, how.replan_cell
    return ClosedLoop(every, budget, most, config.rounds, () if known is None else known)


def _of_the_run(config: Agreement, arm: Arm, part: type[Any]) -> dict[str, float]:
    """Parameters of a part that follow from the rest of the configuration, where it has them."""
    known = parameter_names(part)
    of_run = {"beta": config.fairness.beta, "rounds": config.rounds}
    if "lipschitz" in known:
        of_run["lipschitz"] = 1.0 / training_settings(config, arm)["lr"]
    return {name: value for name, value in of_run.items() if name in known}
