"""Classes that nobody has images of, or that arrive; and what is said of every class."""

from __future__ import annotations

import torch
from torch import Tensor

from fairfed.config.base import required
from fairfed.config.model import Agreement
from semantic.conditioning import UNNAMED_NOUN
from semantic.encoder import ClipEncoder
from semantic.errors import InputError
from semantic.naming import UNNAMED_GROUPS
from semantic.space import Cell, SemanticSpace

_TEXTS = 256


def positions(
    config: Agreement, classes: tuple[str, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Positions of the missing classes, and of the one that arrives.

    Raises
    ------
    InputError
        If a named class is not there, or is both.
    """
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


def class_text(known: SemanticSpace, name: str, config: Agreement) -> str:
    """What is embedded for a class.

    Raises
    ------
    InputError
        If it shall be its attributes and it has none.
    """
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
