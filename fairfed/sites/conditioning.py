"""From the configuration to what describes images: at clients, at the server, and in `augment`.

Classes that the generator has never seen are composed, whatever the mode. What one is described by,
and what is stressed as a guidance term of its own, is judged from the attribute table alone
(`semantic.composable`): attributes that no seen class has are left out, for they are untrained
words. The table's columns of measured words say, for the seen classes, how often the generator's
training captions carried them; no image of a client is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fairfed.config.synthesis import ConditioningConfig, Mode
from semantic.composable import composability
from semantic.conditioning import Conditioner, Describer, PerClass
from semantic.errors import InputError
from semantic.measures import WORDS
from semantic.memory import Recalling, SemanticMemory
from semantic.space import SemanticSpace

WEIGHT = 0.6
"""Weight of a composed term; as the number of words chosen on validation images (zero_shot.md)."""
MOST_WORDS = 6

Vectors = Mapping[str, tuple[float, ...]]
"""Prototypes by class, or by `str(cell)`."""


def describer(
    space: SemanticSpace,
    how: ConditioningConfig,
    mode: Mode | None = None,
    prototypes: Vectors | None = None,
    memory: SemanticMemory | None = None,
    by_name: bool = True,
) -> Describer:
    """What describes images of a space's cells.

    `mode` replaces the configured one, `memory` is what `how.recall` recalls from, where there is
    anything; with `by_name`, a class that has no prototype goes by its name. Classes among
    `how.unseen` that are none, or that cannot be composed, are refused.
    """
    known: Vectors = prototypes or {}
    found: Describer = Conditioner(
        space, mode or how.mode, weight=how.weight, prototypes=known, by_name=by_name
    )
    if how.recall and memory is not None:
        found = Recalling(memory, space, how.weight).instead_of(found)
    if how.unseen:
        composed = composing(space, how.unseen)
        # A prototype says more of a class than words that were never trained on it.
        names = (name for name in how.unseen if name not in known)
        found = PerClass(dict.fromkeys(names, composed), found)
    return found


def composing(space: SemanticSpace, unseen: tuple[str, ...]) -> Conditioner:
    """What describes classes that a generator has never seen, which must have attributes."""
    unknown = [name for name in unseen if name not in space.classes]
    if unknown:
        raise InputError(
            f"conditioning.unseen: {unknown[0]!r} is no class; there are: "
            f"{', '.join(space.classes)}"
        )
    if not space.table.attributes:
        raise InputError(
            "conditioning.unseen composes classes from their attributes, and the classes have "
            "none: give a class × attribute table (semantic.attributes)"
        )
    judged = composability(space.table, unseen, _frequencies(space, unseen))
    values = space.table.values.copy()
    for found in judged:
        for attribute in found.uncovered:
            row = space.table.row(found.class_name)
            values[row, space.table.attributes.index(attribute)] = 0
    known = replace(space, table=replace(space.table, values=values))
    stressed = {
        found.class_name: tuple(word for word in found.adds if word in WORDS) for found in judged
    }
    return Conditioner(
        known, "composition", unseen, WEIGHT, most_words=MOST_WORDS, emphasised=stressed
    )


def _frequencies(
    space: SemanticSpace, unseen: tuple[str, ...]
) -> dict[str, dict[str, float]] | None:
    """Measured words of the seen classes, as the table has them; None where it has none."""
    table = space.table
    words = [word for word in table.attributes if word in WORDS]
    found = {
        name: {w: float(table.values[table.row(name), table.attributes.index(w)]) for w in words}
        for name in table.classes
        if name not in unseen
    }
    return found if any(any(own.values()) for own in found.values()) else None
