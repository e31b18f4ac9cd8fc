"""Semantic memory: what is known of the classes seen, and what a new class resembles.

The memory holds nouns and attribute vectors of all classes (the attribute table), their text
embeddings, and prototypes of the classes that somebody has images of. Asked for a class, it names
the nearest seen classes, says which evidence it compared, and in which attributes they differ. From
that it composes the conditioning of an unseen class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from semantic.arrays import Floats
from semantic.attributes import TYPICAL, AttributeTable
from semantic.conditioning import UNNAMED_NOUN, Describer, Description, PerClass
from semantic.errors import InputError
from semantic.naming import UNNAMED_GROUPS
from semantic.space import Cell, SemanticSpace

if TYPE_CHECKING:
    from semantic.encoder import ClipEncoder

PROMPT = "a photo of a {noun}"
"""Prompt whose text embedding stands for a class."""

Phrases = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Neighbour:
    """A seen class, and how what was asked for compares to it.

    `similarity` is a cosine; with several kinds of evidence (`prototypes`, `text`, or `text and
    attributes`) their mean. What was asked for has more of the attributes in `adds`, less of those
    in `lacks`, by at least `TYPICAL`, with the difference above 0, largest first. Empty where its
    attributes are not known.
    """

    class_name: str
    similarity: float
    evidence: str
    adds: Phrases = ()
    lacks: Phrases = ()


@dataclass(frozen=True)
class SemanticMemory:
    """What is known of the classes.

    The table has nouns and attributes of all classes, seen or not; `seen` are those that there are
    images of. `texts` are unit text embeddings in the order of the table, ``[n_classes,
    dimension]``, `prototypes` unit image embeddings by class name.
    """

    table: AttributeTable
    seen: tuple[str, ...]
    texts: Floats
    prototypes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (*self.seen, *self.prototypes):
            self.table.row(name)

    def nearest(self, class_name: str, k: int = 3) -> list[Neighbour]:
        """The seen classes most like a class, itself excepted, nearest first.

        By prototypes where the class has one, against the seen classes that have one. Otherwise by
        text embeddings, together with the attribute vectors where the class has attributes: the
        text alone says how similar names are used, attributes what similar things look like.
        """
        row = self.table.row(class_name)
        others = [name for name in self.seen if name != class_name]
        pictured = [name for name in others if name in self.prototypes]
        if class_name in self.prototypes and pictured:
            own = np.array(self.prototypes[class_name])
            similar = {n: _cosine(own, np.array(self.prototypes[n])) for n in pictured}
            return self._ranked(similar, "prototypes", self.table.values[row], k)
        rows = [self.table.row(name) for name in others]
        values = self.table.values
        similar = {
            name: _cosine(self.texts[row], self.texts[other])
            for name, other in zip(others, rows, strict=True)
        }
        if not values[row].any():
            return self._ranked(similar, "text", None, k)
        for name, other in zip(others, rows, strict=True):
            similar[name] = (similar[name] + _cosine(values[row], values[other])) / 2
        return self._ranked(similar, "text and attributes", values[row], k)

    def _ranked(
        self, similar: Mapping[str, float], evidence: str, wanted: Floats | None, k: int
    ) -> list[Neighbour]:
        if not similar:
            raise InputError(
                f"the semantic memory has no seen class to compare by {evidence}; remember one"
            )
        names = sorted(similar, key=lambda name: (-similar[name], name))[:k]
        return [
            Neighbour(name, similar[name], evidence, *self._differences(name, wanted))
            for name in names
        ]

    def _differences(self, class_name: str, wanted: Floats | None) -> tuple[Phrases, Phrases]:
        if wanted is None:
            return (), ()
        apart = wanted - self.table.values[self.table.row(class_name)]
        order = np.argsort(-np.abs(apart), kind="stable")
        named = [(self.table.attributes[i], float(apart[i])) for i in order]
        adds = tuple((name, x) for name, x in named if x >= TYPICAL)
        lacks = tuple((name, -x) for name, x in named if x <= -TYPICAL)
        return adds, lacks

    def explain(self, class_name: str, k: int = 1) -> str:
        """One sentence per neighbour, for the user.

        For example: "An ankle boot is like a sneaker (0.71 by text and attributes), but has:
        covers the ankle, heel; and has not: flat sole."
        """
        noun = self.table.noun(class_name)
        return " ".join(self._sentence(noun, found) for found in self.nearest(class_name, k))

    def _sentence(self, noun: str, found: Neighbour) -> str:
        other = self.table.noun(found.class_name)
        opening = (
            f"{_article(noun).capitalize()} {noun} is like {_article(other)} {other} "
            f"({found.similarity:.2f} by {found.evidence})"
        )
        parts = [
            f"{words}: {', '.join(name for name, _ in phrases)}"
            for words, phrases in (("has", found.adds), ("has not", found.lacks))
            if phrases
        ]
        return f"{opening}, but {'; and '.join(parts)}." if parts else f"{opening}."


def remember(
    encoder: ClipEncoder,
    table: AttributeTable,
    seen: tuple[str, ...],
    prototypes: Mapping[str, tuple[float, ...]] | None = None,
) -> SemanticMemory:
    """Memory of the classes of a table; see `SemanticMemory`."""
    texts = encoder.embed_texts([PROMPT.format(noun=noun) for noun in table.prompts])
    return SemanticMemory(table, seen, texts.numpy().astype(np.float64), prototypes or {})


def remembered(memory: SemanticMemory, class_name: str) -> tuple[str, Phrases]:
    """What stands for an unseen class: the nearest seen class's noun, and what differs.

    Attribute phrases have signed weights in [−1, 1]: above 0 for those that the class has more of
    than its neighbour, below 0 for those that the neighbour has and the class has not.
    """
    nearest = memory.nearest(class_name, 1)[0]
    lacks = tuple((name, -difference) for name, difference in nearest.lacks)
    return memory.table.noun(nearest.class_name), (*nearest.adds, *lacks)


def compose(
    memory: SemanticMemory, space: SemanticSpace, cell: Cell, weight: float = 1.0
) -> Description:
    """Conditioning of a cell whose class the generator has never seen.

    The prompt calls it by its nearest seen class; every attribute in which they differ is a
    guidance term of its own, with a negative weight for what only the neighbour has. The terms
    speak of an unnamed item: one that named the neighbour would draw towards it or away from it. A
    term whose attribute differs by 1 has `weight`, relative to the prompt's.
    """
    noun, phrases = remembered(memory, cell.class_name)
    prompt = space.prompts(cell, noun)[0]
    item = space.prompts(Cell(cell.class_name, UNNAMED_GROUPS[0]), UNNAMED_NOUN)[0]
    terms = tuple((f"{item}, {phrase}", weight * share) for phrase, share in phrases)
    return Description(prompt, terms)


@dataclass(frozen=True)
class Recalling:
    """Describes classes by what semantic memory says that they are like (`compose`)."""

    memory: SemanticMemory
    space: SemanticSpace
    weight: float = 1.0

    def describe(self, cell: Cell, seed: int) -> Description:
        """Description of an image of the cell; all images of a class share theirs."""
        return compose(self.memory, self.space, cell, self.weight)

    def instead_of(self, otherwise: Describer) -> PerClass:
        """Describe so what nobody has images of, and the seen classes as `otherwise`."""
        missing = (name for name in self.space.classes if name not in self.memory.seen)
        return PerClass(dict.fromkeys(missing, self), otherwise)


def _cosine(one: Floats, other: Floats) -> float:
    """Cosine, 0 if a vector is 0."""
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norms if norms else 0.0


def _article(noun: str) -> str:
    return "an" if noun[:1].lower() in "aeiou" else "a"
