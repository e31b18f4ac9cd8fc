"""What an arm makes of the sections that it shares with others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fairfed.config.adaptation import Adaptation
from fairfed.config.arms import Arm
from fairfed.config.model import Agreement
from fairfed.config.synthesis import Mode


def training_settings(config: Agreement, arm: Arm, server_round: int = 1) -> dict[str, Any]:
    """Arguments of `fairfed.models.train_epochs` in a round of an arm."""
    settings: dict[str, Any] = config.train.model_dump(exclude=_NOT_OF_TRAINING)
    own = {"proximal": arm.proximal, "augmentation": arm.augmentation}
    method = adaptation_of(config, arm)
    if method is not None:
        rates = config.adapt.lr
        rate = rates.get(method)
        own["lr"] = rates.get("scratch", rate) if arm.from_scratch else rate
    settings |= {name: value for name, value in own.items() if value is not None}
    settings["lr"] *= _FACTORS[config.train.schedule]((server_round - 1) / config.rounds)
    return settings


_NOT_OF_TRAINING = {"debias", "fairbatch_alpha", "schedule", "batch_norm", "dp"}
_FACTORS: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "linear": lambda done: 1 - done,
}
"""By schedule, the factor of the learning rate when a share of the rounds is over."""


def domain_matching_enabled(config: Agreement, arm: Arm) -> bool:
    """Whether an arm matches the domains of its real and synthetic images."""
    own = arm.domain_matching
    return arm.augment and (config.synthesis.domain_matching if own is None else own)


def conditioning_mode(config: Agreement, arm: Arm | None) -> Mode:
    """What conditions the generator in an arm."""
    return (arm.conditioning if arm else None) or config.conditioning.mode


def shares_images(config: Agreement) -> bool:
    """Whether clients draw from common images; never where they start from a client's own."""
    return config.synthesis.share and not config.conditioning.start_from_real


def uses_prototypes(config: Agreement) -> bool:
    """Whether clients condition on the federation's prototypes."""
    arms = (arm for arm in config.arms if arm.augment)
    return any(conditioning_mode(config, arm) == "prototype" for arm in arms)


def arms_to_fill(config: Agreement) -> list[Arm]:
    """The arms whose gaps are filled before the first round, one of each conditioning.

    One that matches domains wants more than the others.
    """
    found: dict[str, Arm] = {}
    for arm in filter(lambda arm: arm.augment, config.arms):
        before = found.setdefault(conditioning_mode(config, arm), arm)
        if domain_matching_enabled(config, arm) > domain_matching_enabled(config, before):
            found[conditioning_mode(config, arm)] = arm
    return list(found.values())


def masks(config: Agreement, arm: Arm) -> bool:
    """Whether an arm's models are summed under masks; those of all rows in one place are not."""
    return config.privacy.secure_sum and arm.sends_model and arm.system != "centralised"


def synthesises(config: Agreement) -> bool:
    """Whether any arm asks the generator for images."""
    return any(arm.augment or arm.server_trains for arm in config.arms)


def adaptation_of(config: Agreement, arm: Arm | None) -> Adaptation | None:
    """What of a pretrained network an arm trains; None where nothing is said.

    That is all of it; a CLIP classifier has a default of its own.
    """
    own = arm.adapt if arm else None
    return own or (config.adapt.method if config.model == "clip" else None)


def trains_part(config: Agreement, arm: Arm | None) -> bool:
    """Whether an arm trains and sends a part of a network other than CLIP."""
    return config.model != "clip" and adaptation_of(config, arm) not in (None, "full")


def embeds_once(config: Agreement, arm: Arm | None) -> bool:
    """Whether images are embedded once: their embeddings stay the same in training."""
    head_alone = config.model == "clip" and adaptation_of(config, arm) in ("head", "prompt")
    return config.model == "clip-head" or head_alone
