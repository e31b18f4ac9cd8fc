"""A class that arrives as a name and attributes: remembered, composed, synthesised."""

from __future__ import annotations

import math
import threading
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fairfed.augmentation.recalling import RecallingConditioner
from fairfed.config.shared import ArrivalConfig
from fairfed.errors import PublicInputError
from fairfed.generation import NONE_ACCEPTED, synthesiser_of
from fairfed.once import once
from fairfed.shared_space.data import (
    embed_texts,
    encoder,
    holdings,
    images,
    positions,
    space,
)
from fairfed.site import configuration
from generators.synthesis import SHARED, Synthesiser
from semantic.composable import composability
from semantic.conditioning import UNNAMED_NOUN, ComposingConditioner, Conditioner
from semantic.memory import SemanticMemory, remember
from semantic.space import UNNAMED_GROUPS, Cell, known_groups

_LOADING = threading.RLock()


def arrival_of(toml: str) -> ArrivalConfig:
    """The section `[arrival]` of a configuration that has one."""
    found = configuration(toml).arrival
    if found is None:
        raise TypeError("the configuration has no section [arrival]")
    return found


def _unseen(toml: str) -> list[str]:
    """Classes that no client has images of."""
    config, known = configuration(toml), space(toml)
    return [known.classes[i] for part in positions(config, known.classes) for i in part]


@lru_cache(maxsize=4)
def memory(toml: str) -> SemanticMemory:
    """What is known of the classes; seen are those of which some client has images."""
    config, known = configuration(toml), space(toml)
    unseen = _unseen(toml)
    seen = tuple(name for name in known.classes if name not in unseen)
    return remember(encoder(config), known.table.of(known.classes), seen)


def recalled_vector(toml: str, vectors: Tensor) -> Tensor:
    """Vector of the class that arrives: its nearest class's, moved by the attributes that differ.

    An attribute's direction is that from the text of an unnamed item to the same with the
    attribute. The direction of its sum with the class's own description stands for the class.

    Parameters
    ----------
    vectors
        ``[C, d]``: embeddings of every class's description.
    """
    config, known, name = configuration(toml), space(toml), arrival_of(toml).class_name
    nearest = memory(toml).nearest(name, 1)[0]
    item = known.prompts(Cell(name, UNNAMED_GROUPS[0]), UNNAMED_NOUN)[0]
    phrases = [*nearest.adds, *((phrase, -share) for phrase, share in nearest.lacks)]
    texts = embed_texts(config, [item, *(f"{item}, {phrase}" for phrase, _ in phrases)])
    shares = torch.tensor([share for _, share in phrases], dtype=texts.dtype)
    moved = vectors[known.classes.index(nearest.class_name)] + shares @ (texts[1:] - texts[0])
    own = vectors[known.classes.index(name)]
    return F.normalize(F.normalize(moved, dim=0) + own, dim=0)


@once(_LOADING, kept=64)
def synthetic(toml: str, label: int) -> Tensor:
    """Embeddings ``[n, d]`` of synthetic images of a class, the same at all clients.

    They are made once per process, or taken from the store.

    Raises
    ------
    InputError
        If no image was accepted.
    """
    table = images(toml)
    groups = np.flatnonzero(known_groups(table.group_names)).tolist()
    per_cell = math.ceil(arrival_of(toml).images / max(1, len(groups)))
    pools = [synthesiser(toml).pool(label, group, per_cell, SHARED) for group in groups]
    found = [image for pool in pools for image in pool.images]
    if not found:
        raise PublicInputError(NONE_ACCEPTED.format(who=f"class {table.classes[label]!r}"))
    return encoder(configuration(toml)).embed_images(np.stack(found))


@once(_LOADING, kept=2)
def synthesiser(toml: str) -> Synthesiser:
    """What makes images; the arriving class is not called by its name."""
    config, known, arrival = configuration(toml), space(toml), arrival_of(toml)
    conditioner: Conditioner
    if arrival.recall:
        conditioner = RecallingConditioner(known, memory=memory(toml))
    else:
        judged = composability(known.table.of(known.classes), _unseen(toml))
        adds = {one.class_name: one.adds for one in judged}
        conditioner = ComposingConditioner(
            known, "composition", unnamed=tuple(adds), emphasised=adds
        )
    return synthesiser_of(config, known, conditioner)


def check_synthesis(toml: str) -> None:
    """Describe an image of every cell that clients will ask for; it is not made.

    Raises
    ------
    InputError
        If a model is not to be had, or a class cannot be described.
    """
    known = space(toml)
    _, arriving = positions(configuration(toml), known.classes)
    held = [own.classes for own in holdings(toml) if own.kind != "text"]
    for label in sorted({*arriving}.union(*held)):
        for group in np.flatnonzero(known_groups(known.groups)).tolist():
            synthesiser(toml).request(label, group, 0)
