"""A class that arrives as a name and attributes: remembered, composed, synthesised."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fairfed.config.base import required
from fairfed.errors import PublicInputError
from fairfed.sites.generation import NONE_ACCEPTED
from fairfed.sites.workplace import Workplace
from fairfed.systems.shared_space.classes import embed_texts, positions
from generators.synthesis import SHARED, Synthesiser
from semantic.composable import composability
from semantic.conditioning import UNNAMED_NOUN, ComposingConditioner, Conditioner
from semantic.memory import RecallingConditioner, SemanticMemory, remember
from semantic.naming import UNNAMED_GROUPS
from semantic.space import Cell, known_groups


def _unseen(place: Workplace) -> list[str]:
    """Classes that no client has images of."""
    classes = place.labels.classes
    return [classes[i] for part in positions(place.study, classes) for i in part]


def memory(place: Workplace) -> SemanticMemory:
    """What is known of the classes; seen are those of which some client has images."""
    return place.kept("semantic memory", lambda: _memory(place))


def _memory(place: Workplace) -> SemanticMemory:
    known, unseen = place.space, _unseen(place)
    seen = tuple(name for name in known.classes if name not in unseen)
    return remember(place.encoder, known.table.of(known.classes), seen)


def recalled_vector(place: Workplace, vectors: Tensor) -> Tensor:
    """Vector of the class that arrives: its nearest class's, moved by the attributes that differ.

    An attribute's direction is that from the text of an unnamed item to the same with the
    attribute. The direction of its sum with the class's own description stands for the class.

    Parameters
    ----------
    vectors
        ``[C, d]``: embeddings of every class's description.
    """
    known, name = place.space, required(place.study.arrival).class_name
    nearest = memory(place).nearest(name, 1)[0]
    item = known.prompts(Cell(name, UNNAMED_GROUPS[0]), UNNAMED_NOUN)[0]
    phrases = [*nearest.adds, *((phrase, -share) for phrase, share in nearest.lacks)]
    texts = embed_texts(place.encoder, [item, *(f"{item}, {phrase}" for phrase, _ in phrases)])
    shares = torch.tensor([share for _, share in phrases], dtype=texts.dtype)
    moved = vectors[known.classes.index(nearest.class_name)] + shares @ (texts[1:] - texts[0])
    own = vectors[known.classes.index(name)]
    return F.normalize(F.normalize(moved, dim=0) + own, dim=0)


def synthetic(place: Workplace, label: int) -> Tensor:
    """Embeddings ``[n, d]`` of synthetic images of a class, the same at all clients.

    They are made once on a machine, or taken from the store.

    Raises
    ------
    InputError
        If no image was accepted.
    """
    return place.kept(("synthetic", label), lambda: _synthetic(place, label))


def _synthetic(place: Workplace, label: int) -> Tensor:
    groups = np.flatnonzero(known_groups(place.labels.groups)).tolist()
    per_cell = math.ceil(required(place.study.arrival).images / max(1, len(groups)))
    pools = [synthesiser(place).pool(label, group, per_cell, SHARED) for group in groups]
    found = [image for pool in pools for image in pool.images]
    if not found:
        name = place.labels.classes[label]
        raise PublicInputError(NONE_ACCEPTED.format(who=f"class {name!r}"))
    return place.encoder.embed_images(np.stack(found))


def synthesiser(place: Workplace) -> Synthesiser:
    """What makes images; the arriving class is not called by its name."""
    return place.kept("arrival", lambda: _synthesiser(place))


def _synthesiser(place: Workplace) -> Synthesiser:
    known = place.space
    conditioner: Conditioner
    if required(place.study.arrival).recall:
        conditioner = RecallingConditioner(known, memory=memory(place))
    else:
        judged = composability(known.table.of(known.classes), _unseen(place))
        adds = {one.class_name: one.adds for one in judged}
        conditioner = ComposingConditioner(
            known, "composition", unnamed=tuple(adds), emphasised=adds
        )
    return place.synthesiser_of(known, conditioner)


def check_synthesis(place: Workplace, held: set[int]) -> None:
    """Describe an image of every cell that clients will ask for; it is not made.

    Parameters
    ----------
    held
        Classes that some client has images of.

    Raises
    ------
    InputError
        If a model is not to be had, or a class cannot be described.
    """
    _, arriving = positions(place.study, place.labels.classes)
    for label in sorted({*arriving, *held}):
        for group in np.flatnonzero(known_groups(place.labels.groups)).tolist():
            synthesiser(place).request(label, group, 0)
