"""What stands for every class, and for one that nobody has images of, or that arrives.

A class is an embedding of its text. One that arrives as a name and attributes is remembered by the
classes that are like it, composed from what it shares with them, and synthesised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fairfed.config.base import required
from fairfed.config.model import Agreement
from fairfed.errors import PublicInputError
from fairfed.sites.generation import NONE_ACCEPTED
from fairfed.sites.workplace import Workplace
from generators.synthesis import SHARED, Synthesiser
from semantic.composable import composability
from semantic.conditioning import UNNAMED_NOUN, Conditioner, Describer, PerClass
from semantic.encoder import ClipEncoder
from semantic.errors import InputError
from semantic.memory import Recalling, SemanticMemory, remember
from semantic.naming import UNNAMED_GROUPS
from semantic.space import Cell, SemanticSpace, known_groups

HELD = "held"
"""What a request says of the classes that some client has images of."""
_TEXTS = 256


def positions(
    config: Agreement, classes: tuple[str, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Positions of the missing classes, and of the one that arrives; none is unknown, or both."""
    missing = required(config.shared).missing
    arriving: tuple[str, ...] = ()
    if config.arrival is not None:
        arriving = (config.arrival.class_name,)
    for name, where in (
        *((name, "shared.missing") for name in missing),
        *((name, "arrival.class_name") for name in arriving),
    ):
        if name not in classes:
            known = ", ".join(classes)
            raise InputError(f"{where}: there is no class {name!r}; the data has {known}")
    if set(missing) & set(arriving):
        raise InputError(
            f"arrival.class_name {arriving[0]!r} is in shared.missing, too: a class that arrives "
            "is described by nobody before; drop it from there"
        )
    return tuple(map(classes.index, missing)), tuple(map(classes.index, arriving))


def embed_texts(encoder: ClipEncoder, texts: list[str]) -> Tensor:
    """CLIP embeddings of texts ``[n, d]``, in batches."""
    batches = (texts[i : i + _TEXTS] for i in range(0, len(texts), _TEXTS))
    return torch.cat([torch.zeros(0, encoder.dimension), *map(encoder.embed_texts, batches)])


def class_vectors(place: Workplace) -> Tensor:
    """Unit embeddings ``[C, d]`` that stand for the classes."""

    def make() -> Tensor:
        study, known = place.study, place.space
        texts = [_class_text(known, name, study) for name in known.classes]
        found = embed_texts(place.encoder, texts)
        if study.arrival is not None and study.arrival.recall:
            row = known.classes.index(study.arrival.class_name)
            found[row] = _recalled_vector(place, found)
        return found

    return place.kept("class vectors", make)


def held_vectors(sent: Mapping[str, object], place: Workplace) -> Tensor:
    """Vectors of the classes that some client has images of, as a request says."""
    held: list[int] = list(sent[HELD])  # type: ignore[call-overload]
    return class_vectors(place)[held]


def _class_text(known: SemanticSpace, name: str, config: Agreement) -> str:
    """What is embedded for a class; refused if it shall be its attributes and there are none."""
    asked = required(config.shared).class_text
    cell, phrases = Cell(name, UNNAMED_GROUPS[0]), known.table.phrases(name)
    if asked == "attributes" and not phrases:
        raise InputError(
            f"class {name!r} has no attribute of at least 0.5 in the attribute table; fill in its "
            "row, or set shared.class_text = 'name'"
        )
    noun = UNNAMED_NOUN if asked == "attributes" else None
    opening = known.prompts(cell, noun)[0]
    return ", ".join([opening, *phrases]) if asked != "name" else opening


def _recalled_vector(place: Workplace, vectors: Tensor) -> Tensor:
    """Vector of the class that arrives: its nearest class's, moved by the attributes that differ.

    An attribute's direction is that from the text of an unnamed item to the same with the
    attribute. The direction of its sum with the class's own description (one of the `vectors`
    ``[C, d]``) stands for the class.
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


def _unseen(place: Workplace) -> list[str]:
    """Classes that no client has images of."""
    classes = place.labels.classes
    return [classes[i] for part in positions(place.study, classes) for i in part]


def memory(place: Workplace) -> SemanticMemory:
    """What is known of the classes; seen are those of which some client has images."""

    def make() -> SemanticMemory:
        known, unseen = place.space, _unseen(place)
        seen = tuple(name for name in known.classes if name not in unseen)
        return remember(place.encoder, known.table.of(known.classes), seen)

    return place.kept("semantic memory", make)


def synthetic(place: Workplace, label: int) -> Tensor:
    """Embeddings ``[n, d]`` of synthetic images of a class, the same at all clients.

    They are made once on a machine, or taken from the store; that none is accepted is an error.
    """

    def make() -> Tensor:
        groups = np.flatnonzero(known_groups(place.labels.groups)).tolist()
        per_cell = math.ceil(required(place.study.arrival).images / max(1, len(groups)))
        pools = [synthesiser(place).pool(label, group, per_cell, SHARED) for group in groups]
        found = [image for pool in pools for image in pool.images]
        if not found:
            name = place.labels.classes[label]
            raise PublicInputError(NONE_ACCEPTED.format(who=f"class {name!r}"))
        return place.encoder.embed_images(np.stack(found))

    return place.kept(("synthetic", label), make)


def synthesiser(place: Workplace) -> Synthesiser:
    """What makes images; the arriving class is not called by its name."""

    def make() -> Synthesiser:
        known = place.space
        named = Conditioner(known)
        conditioner: Describer
        if required(place.study.arrival).recall:
            conditioner = Recalling(memory(place), known).instead_of(named)
        else:
            judged = composability(known.table.of(known.classes), _unseen(place))
            adds = {one.class_name: one.adds for one in judged}
            composed = Conditioner(known, "composition", unnamed=tuple(adds), emphasised=adds)
            conditioner = PerClass(dict.fromkeys(adds, composed), named)
        return place.synthesiser_of(known, conditioner)

    return place.kept("arrival", make)


def check_synthesis(place: Workplace, held: set[int]) -> None:
    """Describe an image of every cell that clients will ask for; it is not made.

    Held are the classes that some client has images of. A model that is not to be had, or a class
    that cannot be described, is refused.
    """
    _, arriving = positions(place.study, place.labels.classes)
    for label in sorted({*arriving, *held}):
        for group in np.flatnonzero(known_groups(place.labels.groups)).tolist():
            synthesiser(place).request(label, group, 0)
