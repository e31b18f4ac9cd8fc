"""Clients lack classes that the generator has never seen either: these are composed.

The other classes are called by their names. What an unseen class is described by, and what is
stressed as a guidance term of its own, is judged from the attribute table alone
(`semantic.composable`): attributes that no seen class has are left out, for they are untrained
words. The table's columns of measured words say, for the seen classes, how often the generator's
training captions carried them; no image of a client is looked at.
"""

from __future__ import annotations

from dataclasses import replace

from semantic.composable import composability
from semantic.conditioning import ComposingConditioner
from semantic.errors import InputError
from semantic.measures import WORDS
from semantic.space import SemanticSpace

WEIGHT = 0.6
"""Weight of a composed term; as the number of words chosen on validation images (zero_shot.md)."""
MOST_WORDS = 6


def composing(space: SemanticSpace, unseen: tuple[str, ...]) -> ComposingConditioner:
    """What conditions a generator that has never seen some classes, which must have attributes."""
    unknown = [name for name in unseen if name not in space.classes]
    if unknown:
        raise InputError(
            f"augment.unseen: {unknown[0]!r} is no class; there are: {', '.join(space.classes)}"
        )
    if not space.table.attributes:
        raise InputError(
            "augment.unseen composes classes from their attributes, and the classes have none: "
            "give a class × attribute table (semantic.attributes)"
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
    return ComposingConditioner(
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
