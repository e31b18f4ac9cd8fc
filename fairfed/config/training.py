"""What an arm makes of the sections that it shares with others."""

from __future__ import annotations

from typing import Any

from fairfed.config.arms import Arm
from fairfed.config.model import Agreement


def training_settings(config: Agreement, arm: Arm) -> dict[str, Any]:
    """Arguments of `fairfed.models.train_epochs` in an arm."""
    settings: dict[str, Any] = config.train.model_dump(exclude={"debias", "fairbatch_alpha"})
    own = {"proximal": arm.proximal, "augmentation": arm.augmentation}
    if config.model == "clip":
        rates = config.adapt.lr
        rate = rates.get(arm.adapt or config.adapt.method)
        own["lr"] = rates.get("scratch", rate) if arm.from_scratch else rate
    return settings | {name: value for name, value in own.items() if value is not None}


def domain_matching_enabled(config: Agreement, arm: Arm) -> bool:
    """Whether an arm matches the domains of its real and synthetic images."""
    own = arm.domain_matching
    return arm.augment and (config.augment.domain_matching if own is None else own)


def arm_to_fill(config: Agreement) -> Arm | None:
    """The arm whose gaps are filled before the first round: one that matches domains wants more."""
    arms = [arm for arm in config.arms if arm.augment]
    matching = (arm for arm in arms if domain_matching_enabled(config, arm))
    return next(matching, arms[0] if arms else None)


def synthesises(config: Agreement) -> bool:
    """Whether any arm asks the generator for images."""
    return any(arm.augment or arm.server_trains for arm in config.arms)


def adaptation_of(config: Agreement, arm: Arm | None) -> str | None:
    """What of a CLIP classifier an arm trains; None where the model is no such classifier."""
    if config.model != "clip":
        return None
    return (arm.adapt if arm else None) or config.adapt.method


def embeds_once(config: Agreement, arm: Arm | None) -> bool:
    """Whether images are embedded once: their embeddings stay the same in training."""
    return config.model == "clip-head" or adaptation_of(config, arm) in ("head", "prompt")
