"""A site's policy: which counts are said, and what a study asks for that the site does not do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from fairfed.config import classifiers
from fairfed.config.model import Agreement
from fairfed.config.peers import PHASES
from fairfed.config.site import SitePolicy
from fairfed.config.systems import MESSAGES, Action
from fairfed.config.table import TableConfig
from fairfed.config.training import shares_images, uses_prototypes
from generators.curation.settings import max_candidates
from generators.plan import Cells

UNSAID = -1
"""Stands in a message for a count that is too small to be said."""

WHAT_LEAVES: dict[Action, str] = {
    "describe": "counts of the site's rows by class and group, and of a table's columns sums, "
    "coarse ranges and frequent values, once",
    "train": "the weights of the model after its own training, in every round",
    "evaluate": "counts of right and wrong answers on its test rows, by class and group",
    "synthesise": "how many images were wanted, made and rejected in each cell, and in a word "
    "whether the generator knows each class and column, never the images",
    "release": "noised sums under (ε, δ)-differential privacy, drawn once",
    "sums": "exact sums of embeddings of its training images, and of their products, by class and "
    "group: of a cell with one image they are that image's",
    "mask": "weights or sums under masks that cancel in the sum over all sites, and shares by "
    "which the masks of sites that are lost are undone",
    "audit": "counts of the model's answers by class, group and score, in an audit of the run",
}
"""What a site sends when it does as a study asks."""


def action_of(message_type: str) -> Action:
    """What a message asks for, by its type."""
    return MESSAGES[message_type].action


def said_counts(counts: Cells, policy: SitePolicy) -> Cells:
    """Counts as they leave the site; `UNSAID` stands for one that is too small to be said."""
    if policy.counts == "exact":
        return counts
    return np.where((counts > 0) & (counts < policy.min_count), UNSAID, counts)


def summarised(schema: TableConfig, policy: SitePolicy) -> TableConfig:
    """The columns that a site says something of, with the least rows that it says anything of."""
    if policy.counts == "exact":
        return schema
    return schema.model_copy(update={"min_count": max(schema.min_count, policy.min_count)})


def pool_sizes(wanted: Cells, config: Agreement) -> Cells:
    """Sizes of the pools that plans ``[…, n_classes, n_groups]`` draw their images from."""
    least = config.synthesis.pool if shares_images(config) else 0
    return np.where(wanted > 0, np.maximum(wanted, least), 0)


def most_made(pools: Iterable[int], config: Agreement) -> int:
    """Images made at most for pools of these sizes, where many are rejected."""
    return sum(max_candidates(size, config.curation.max_tries) for size in pools)


def asked_for(config: Agreement) -> tuple[Action, ...]:
    """What a study asks of its sites, in the order in which it does."""
    masked: tuple[Action, ...] = ("mask",) if config.privacy.secure_sum else ()
    if config.heads is not None:
        return ("sums", "evaluate", *masked)
    asked: list[Action] = ["describe", "train", "evaluate", *masked]
    if any(arm.augment for arm in config.arms):
        asked.append("synthesise")
    centring = config.shared is not None and config.shared.centre
    one_shot = any(arm.system == "one-shot" for arm in config.arms)
    if one_shot or centring or config.peers is not None or uses_prototypes(config):
        asked.append("release")
    return tuple(asked)


def own_code(config: Agreement) -> dict[str, str]:
    """What of a study is code of its own that its sites would run, by the setting that names it."""
    model = config.model if classifiers.own_code(config.model) else None
    named = {"model": model, "system": config.system}
    return {setting: name for setting, name in named.items() if name is not None}


def counts_as_training(message_type: str) -> bool:
    """Whether answers to a message are counted: how often own code asks in a round, none knows."""
    return action_of(message_type) == "train" and message_type != "query.own"


def too_many(policy: SitePolicy, config: Agreement, kind: str, left: int) -> str | None:
    """Why another training of a study may not leave, if it may not.

    `left` counts trainings that have left for studies of this name, in answer to messages of the
    type `kind`, which asks for it.
    """
    peers = config.peers if kind == "query.peer" else None
    a_round = len(config.arms) if peers is None else PHASES * len(peers.meta)
    if policy.max_rounds is None or left < policy.max_rounds * a_round:
        return None
    return (
        f"policy.max_rounds: {left:,} trainings of studies of this name have left already, "
        f"allowed are {policy.max_rounds:,} of each arm"
    )


def refusals(policy: SitePolicy, config: Agreement, synthetic: int, *also: Action) -> Iterator[str]:
    """What of a study goes beyond the policy, a sentence for each.

    `synthetic` are the images that the site would make at most, `also` what a message asks besides.
    """
    for action in dict.fromkeys((*asked_for(config), *also)):
        if action not in policy.actions:
            yield f"policy.actions: the study asks for {action!r} ({WHAT_LEAVES[action]})"
    for setting, name in own_code(config).items():
        if name not in policy.own_code:
            yield (
                f"policy.own_code: the study's {setting} is {name!r}, code of its own that this "
                "site would run"
            )
    if config.peers is not None and config.peers.seeded_noise:
        yield "peers.seeded_noise: all know the seed, so the noise would hide nothing"
    if config.min_sites < policy.min_sites:
        yield (
            f"policy.min_sites: the study may have as few as {config.min_sites} sites, and needs "
            f"at least {policy.min_sites} (min_sites of the study)"
        )
    if policy.dp is not None and (config.train.dp is None or config.heads is not None):
        yield (
            "policy.dp: the study would have weights or sums leave without noise, and what "
            "leaves this site has a budget (train.dp of the study)"
        )
    if policy.weights == "masked" and not config.privacy.secure_sum:
        yield (
            "policy.weights: the study asks for weights or sums as they are, and they leave only "
            "under masks (privacy.secure_sum of the study)"
        )
    most = policy.max_rounds
    if most is not None and config.rounds > most:
        yield f"policy.max_rounds: the study has {config.rounds} rounds, allowed are {most}"
    most = policy.max_synthetic
    if most is not None and synthetic > most:
        yield (
            f"policy.max_synthetic: the study would have up to {synthetic:,} images made, allowed "
            f"are {most:,}"
        )
