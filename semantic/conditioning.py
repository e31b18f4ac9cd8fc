"""From a cell to what conditions a generator: words, guidance terms, or a prototype.

A class that the generator knows is called by its name. One that it has never seen is *composed*:
its attributes are named instead, each once typical of other classes, and words measured on single
images (`semantic.measures`) are drawn from how typical the table says they are of the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from semantic.errors import InputError
from semantic.measures import BINS, WORDS
from semantic.space import Cell, SemanticSpace

Mode = Literal["name", "attributes", "composition", "prototype"]
UNNAMED_NOUN = "item"
"""What a class is called whose name says nothing to the generator."""
MOST_PHRASES = 3
"""At most so many attribute phrases enter one prompt."""


@dataclass(frozen=True)
class Description:
    """What one image shall show: a text, and further terms or an embedding.

    Terms are prompts with weights, each a guidance term of its own; the prototype is a unit CLIP
    image embedding, or empty.
    """

    prompt: str
    terms: tuple[tuple[str, float], ...] = ()
    prototype: tuple[float, ...] = ()


class Describer(Protocol):
    """Says what images of a cell shall show."""

    def describe(self, cell: Cell, seed: int) -> Description:
        """Description of the image with this seed, the same on every call."""
        ...


@dataclass(frozen=True)
class PerClass:
    """Describes some classes in ways of their own, and the others as `otherwise`."""

    own: Mapping[str, Describer]
    otherwise: Describer

    def describe(self, cell: Cell, seed: int) -> Description:
        """Description of the image with this seed."""
        return self.own.get(cell.class_name, self.otherwise).describe(cell, seed)


@dataclass(frozen=True)
class Conditioner:
    """Describes images of a cell.

    Attributes
    ----------
    space
        The label space with meaning.
    mode
        `name`: the first prompt template. `attributes`: the same followed by attribute phrases and
        drawn words. `composition`: that, and phrases as guidance terms of their own, which reach
        beyond every prompt seen in training. `prototype`: the template and the class's (or cell's)
        prototype.
    unnamed
        Classes that the generator has never seen, and whose name would mislead it: they are called
        `UNNAMED_NOUN`.
    weight
        Weight of each composed term relative to the prompt's.
    emphasised
        By class, the phrases that are composed: those which its nearest seen class lacks
        (`semantic.composable.Composability.adds`). All that the prompt holds where a class is not
        in it.
    prototypes
        Unit embeddings by class name, or by `str(cell)`, which comes first.
    most_words
        At most so many measured words enter one prompt.
    by_name
        Call a class without a prototype by its name; otherwise it is refused.
    """

    space: SemanticSpace
    mode: Mode = "name"
    unnamed: tuple[str, ...] = ()
    weight: float = 1.0
    prototypes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    most_words: int = 4
    emphasised: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    by_name: bool = False

    def describe(self, cell: Cell, seed: int) -> Description:
        """Description of the image with this seed, the same on every call."""
        unnamed = cell.class_name in self.unnamed
        noun = UNNAMED_NOUN if unnamed else self.space.table.noun(cell.class_name)
        opening = self.space.prompts(cell, noun)[0]
        if self.mode == "prototype":
            return Description(opening, prototype=self._prototype(cell))
        if self.mode == "name":
            return Description(opening)
        words = self._words(cell.class_name, np.random.default_rng(seed))
        prompt = ", ".join([opening, *words])
        if self.mode == "attributes":
            return Description(prompt)
        # A term names no class: the class that a phrase usually comes with would come along.
        plain = self.space.prompts(cell, UNNAMED_NOUN)[0]
        stressed = self.emphasised.get(cell.class_name, tuple(words))
        return Description(prompt, tuple((f"{plain}, {word}", self.weight) for word in stressed))

    def _prototype(self, cell: Cell) -> tuple[float, ...]:
        found = self.prototypes.get(str(cell)) or self.prototypes.get(cell.class_name) or ()
        if not found and not self.by_name:
            raise InputError(
                f"no prototype for {cell}: nobody holds enough images of it; choose another "
                "conditioning for it"
            )
        return found

    def _words(self, class_name: str, rng: np.random.Generator) -> list[str]:
        """Typical phrases, and one drawn word for each measure that the table speaks of."""
        table = self.space.table
        phrases = [p for p in table.phrases(class_name) if p not in WORDS]
        values = dict(zip(table.attributes, table.values[table.row(class_name)], strict=True))
        words = []
        for _, low, _, high, between in BINS.values():
            choices = [word for word in (low, between, high) if word]
            shares = np.array([values.get(word, 0.0) for word in choices])
            shares = np.append(shares, max(0.0, 1 - shares.sum()))
            drawn = rng.choice(len(shares), p=shares / shares.sum())
            if drawn < len(choices):
                words.append(choices[drawn])
        if not phrases and not words:
            raise InputError(
                f"class {class_name!r} has no attribute of at least 0.5 in the attribute table; "
                "fill in its row, or condition it by its name"
            )
        chosen = sorted(rng.permutation(len(phrases))[:MOST_PHRASES])
        kept = sorted(rng.permutation(len(words))[: self.most_words])
        return [*(phrases[i] for i in chosen), *(words[i] for i in kept)]
