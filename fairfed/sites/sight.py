"""What CLIP and the generator know of a site's data, found out before any image is asked for.

Classes that they do not know are refused. Sensitive columns whose values CLIP cannot tell apart in
the site's real images are left out of prompts and scores: no image is claimed to show a value of
them. `semantic.allow_unknown` lifts both, and is said in every report.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairfed.config import SemanticConfig
from fairfed.config.labels import LabelSpace
from fairfed.data import ImageTable
from fairfed.sites.semantics import Meaning, noun_table, semantic_space
from semantic.errors import InputError
from semantic.known_words import KnownWords
from semantic.naming import CROSSED, UNNAMED_GROUPS
from semantic.sight import Reader, Reading, without

if TYPE_CHECKING:
    from semantic.encoder import ClipEncoder

UNKNOWN_CLASS = (
    "class {name!r} is called {noun!r}, and {clip} does not know {words}: it was trained on "
    "{about}, and can judge no other images"
)
UNKNOWN_PHRASE = (
    "attribute {phrase!r}: semantic.encoder {encoder!r} does not know {words}: it was trained on "
    "{about}, and cannot say where it sees that"
)
BLIND = "{clip} does not tell the classes apart: {why}"
WHAT_TO_DO = (
    "Give a semantic.encoder that knows the classes (an open_clip model), or describe them in "
    "words that it knows (the column 'prompt' of a table in semantic.attributes). Images can also "
    "be made without CLIP and without words, by inverting a classifier of your own images "
    "(synthesis.generator = 'inversion' in an augmentation, inversion in an arm of a run). Or set "
    "semantic.allow_unknown = true, which every report then says"
)
HIDDEN = (
    "{column}: {why}. Prompts leave it out, no image is scored for it, and missing classes are "
    "filled without regard to it. Its cells can be made only by what carries it: your own images "
    "of them (conditioning.start_from_real) or, in an augmentation, a prototype of the cell "
    "(conditioning.mode = 'prototype'). Prompts name it where its values have words that the "
    "models know (semantic.group_prompts), or with semantic.allow_unknown, for a generator.lora "
    "that was trained on them"
)
ALLOWED = "semantic.allow_unknown: {what}. Synthetic images and CLIP's scores of them mean little"


@dataclass(frozen=True)
class Sight:
    """What was found out."""

    # Positions of the sensitive columns that are left out of prompts and scores.
    hidden: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()  # why, a sentence for each
    # Why CLIP cannot judge images of the classes; empty where it can, or where that is allowed.
    refusal: str = ""
    warnings: tuple[str, ...] = ()  # what `semantic.allow_unknown` allows here; to be said in red
    # CLIP's readings of real images, of the classes first.
    readings: tuple[Reading, ...] = field(default=())

    def spoken(self, groups: Iterable[str]) -> dict[str, str]:
        """What is said of each group (`semantic.space.SemanticSpace.spoken`)."""
        return {group: without(group, self.hidden) for group in groups} if self.hidden else {}

    def check(self) -> None:
        """Refuse classes that CLIP cannot judge; the `InputError` says what to do."""
        if self.refusal:
            raise InputError(self.refusal)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "remarks": list(self.notes),
            "warnings": list(self.warnings),
            "readings": [reading.to_json() for reading in self.readings],
        }


def look(
    semantic: SemanticConfig | Meaning,
    sensitive: tuple[str, ...],
    table: ImageTable,
    rows: npt.NDArray[np.int64],
    encoder: ClipEncoder,
    words: KnownWords | None,
) -> Sight:
    """Find out what CLIP and a generator know of the classes and groups of real images.

    Those are `rows`, to train on. The sensitive columns are in the order in which the groups'
    values are crossed; `words` are what the generator's prompts may hold, where it says so. Raises
    `InputError` if the attribute table cannot be read or has no row for a class.
    """
    space = semantic_space(semantic, table.classes, table.group_names)
    labels = np.full(len(table), -1, np.int64)
    labels[rows] = table.labels[rows]
    reader = Reader(encoder, space, table.images, labels)
    classes = reader.classes()
    unknown = unknown_class(semantic, table.classes, encoder.known_words)
    if not unknown and classes.blind:
        unknown = BLIND.format(clip=_clip(semantic), why=classes.explain())
    readings, found = [classes], {}
    for position, column in enumerate(sensitive):
        values, codes = _values(table, position)
        called = [semantic.group_prompts.get(value, value) for value in values]
        named = values and _unknown_values(called, encoder.known_words, words)
        reading = reader.column(column, values, codes[table.groups])
        readings.append(reading)
        if named or reading.blind:
            found[position] = HIDDEN.format(column=column, why=named or reading.explain())
    sight = Sight(readings=tuple(readings))
    if semantic.allow_unknown:
        told = [unknown, *(f"{sensitive[i]}: {readings[1 + i].explain()}" for i in found)]
        return replace(sight, warnings=tuple(ALLOWED.format(what=what) for what in told if what))
    return replace(
        sight,
        hidden=tuple(found),
        notes=tuple(found.values()),
        refusal=f"{unknown}. {WHAT_TO_DO}" if unknown else "",
    )


def read_names(
    semantic: Meaning, labels: LabelSpace, encoder: ClipEncoder, words: KnownWords | None
) -> Sight:
    """What `look` finds out, by names alone: for a machine that has no images to look at."""
    unknown = unknown_class(semantic, labels.classes, encoder.known_words)
    if semantic.allow_unknown:
        told = [ALLOWED.format(what=unknown)] if unknown else []
        return Sight(warnings=tuple(told))
    found = {}
    for position, (column, values) in enumerate(labels.sensitive.items()):
        called = [semantic.group_prompts.get(value, value) for value in values]
        why = _unknown_values(called, encoder.known_words, words)
        if why:
            found[position] = HIDDEN.format(column=column, why=why)
    refusal = f"{unknown}. {WHAT_TO_DO}" if unknown else ""
    return Sight(hidden=tuple(found), notes=tuple(found.values()), refusal=refusal)


def unknown_class(
    semantic: SemanticConfig | Meaning, classes: tuple[str, ...], known: KnownWords | None
) -> str:
    """Why a CLIP that lists its words does not know a class; empty where it knows all."""
    if known is None:
        return ""
    table = noun_table(semantic, classes)
    for name in classes:
        noun = table.noun(name)
        words = known.unknown(noun)
        if words:
            return UNKNOWN_CLASS.format(
                name=name, noun=noun, clip=_clip(semantic), about=known.about,
                words=", ".join(map(repr, words)),
            )  # fmt: skip
    return ""


def _clip(semantic: SemanticConfig | Meaning) -> str:
    """What CLIP is called in a sentence.

    What is allowed is said in a message, which must not tell where a site has its CLIP.
    """
    named = "" if semantic.allow_unknown else f" {semantic.encoder!r}"
    return f"semantic.encoder{named}"


def check_words(
    semantic: SemanticConfig | Meaning,
    classes: tuple[str, ...],
    encoder: ClipEncoder,
    phrases: Iterable[str] = (),
) -> None:
    """Refuse classes and phrases that a CLIP which lists its words does not know.

    The `InputError` says what to do; there is none with `semantic.allow_unknown`.
    """
    if semantic.allow_unknown:
        return
    unknown = unknown_class(semantic, classes, encoder.known_words)
    known = encoder.known_words
    if not unknown and known is not None:
        found = ((phrase, known.unknown(phrase)) for phrase in phrases)
        for phrase, words in ((phrase, words) for phrase, words in found if words):
            unknown = UNKNOWN_PHRASE.format(
                phrase=phrase, encoder=semantic.encoder, about=known.about,
                words=", ".join(map(repr, words)),
            )  # fmt: skip
            break
    if unknown:
        raise InputError(f"{unknown}. {WHAT_TO_DO}")


def forget(table: ImageTable, hidden: tuple[int, ...]) -> ImageTable:
    """The images with nothing known of some sensitive columns, by position."""
    if not hidden:
        return table
    spoken = [without(group, hidden) for group in table.group_names]
    names = tuple(dict.fromkeys(spoken))
    codes = np.array([names.index(name) for name in spoken], np.int64)
    return replace(table, group_names=names, groups=codes[table.groups])


def _values(table: ImageTable, position: int) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Values of a sensitive column, and of each group its position among them, −1 for none."""
    parts = [group.split(CROSSED) for group in table.group_names]
    own = [part[position] if position < len(part) else UNNAMED_GROUPS[0] for part in parts]
    values = [value for value in dict.fromkeys(own) if value not in UNNAMED_GROUPS]
    codes = [values.index(value) if value in values else -1 for value in own]
    return values, np.array(codes, np.int64)


def _unknown_values(
    values: list[str], encoder: KnownWords | None, generator: KnownWords | None
) -> str:
    """Which values are no words of CLIP or of the generator, in words; empty if none."""
    for who, known in (("the generator", generator), ("CLIP", encoder)):
        words = [value for value in values if known is not None and known.unknown(value)]
        if words and known is not None:
            listed = ", ".join(map(repr, words[:3])) + (", …" if len(words) > 3 else "")
            return f"{who} does not know {listed} (it was trained on {known.about})"
    return ""
