"""Captions of training images: a class name, attribute phrases and a tint in random company."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from semantic.attributes import AttributeTable
from semantic.known_words import words_of

OPENINGS = (
    "a photo of a",
    "a photo of a",
    "a picture of a",
    "a",
    "an image of a",
    "a photo of the",
)
MOST_PHRASES, MOST_WORDS = 3, 4


@dataclass(frozen=True)
class CaptionStyle:
    """How often captions name what.

    `alone` is the share of captions with neither attributes nor measured words; `name` and `tint`
    those that hold the class name, and the tint; `word` the share of an image's measured words that
    its caption holds.
    """

    alone: float = 0.4
    name: float = 0.85
    tint: float = 0.9
    word: float = 0.4


MID_LEVEL = CaptionStyle(alone=0.25, name=0.6)
"""For models that shall compose classes that they have never seen."""


def caption(
    rng: np.random.Generator,
    table: AttributeTable,
    label: int,
    tint: str,  # or another group that is said
    words: tuple[str, ...],
    style: CaptionStyle,
) -> str:
    """Random caption of one image, at most 40 tokens with the bundled tokenizer."""
    alone = rng.random() < style.alone
    named = alone or rng.random() < style.name
    noun = table.prompts[label] if named else "item"
    subject = f"{tint} {noun}" if rng.random() < style.tint and tint else noun
    opening = OPENINGS[rng.integers(len(OPENINGS))]
    if alone:
        return f"{opening} {subject}"
    phrases = list(table.phrases(table.classes[label]))
    most = min(MOST_PHRASES, len(phrases))
    count = int(rng.integers(0 if named else most, most + 1))
    chosen = [phrases[i] for i in sorted(rng.choice(len(phrases), count, replace=False))]
    measured = [word for word in words if rng.random() < style.word]
    kept = sorted(rng.permutation(len(measured))[:MOST_WORDS])
    return ", ".join([f"{opening} {subject}", *chosen, *(measured[i] for i in kept)])


LEARNT = 20
"""Captions that must hold a word before it counts as known."""
USUAL = "a an the photo picture image drawing of with and in on small large item clothing ,"
"""Words of usual prompt templates, which the tokenizer shall cut well."""


def vocabulary(
    table: AttributeTable,
    tints: tuple[str, ...],
    words: tuple[str, ...],
    texts: tuple[str, ...] = (),
) -> set[str]:
    """Every word that a caption can hold, and the words of usual prompt templates."""
    text = [USUAL, *OPENINGS, *table.prompts, *table.attributes, *tints, *words, *texts]
    return set(" ".join(text).replace("-", " - ").split())


def _often(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Words that enough captions hold for the models to have learnt them."""
    counts = Counter(word for text in texts for word in set(words_of(text)))
    return tuple(sorted(word for word, count in counts.items() if count >= LEARNT))


def known_phrases(
    table: AttributeTable,
    tints: tuple[str, ...],
    words: tuple[str, ...],
    texts: tuple[str, ...] = (),
) -> dict[str, tuple[str, ...]]:
    """What trained models can be asked for, by kind (`semantic.known_words`).

    Hardly more than the words of captions: the models take most plurals and synonyms for something
    else (`sandals` and `sweater` for sneakers, `pants` for pullovers).
    """
    return {
        "classes": (*table.prompts, *(name.lower() for name in table.classes), "item"),
        "attributes": table.attributes,
        "groups": tints,
        "measured": words,
        **({"captions": _often(texts)} if texts else {}),
        "templates": (*dict.fromkeys(OPENINGS), "an", "and", "with", "in", "on"),
    }
