"""Captions of training images: a class name, attribute phrases and a tint in random company."""

from __future__ import annotations

import numpy as np

from semantic.attributes import AttributeTable

OPENINGS = (
    "a photo of a",
    "a photo of a",
    "a picture of a",
    "a",
    "an image of a",
    "a photo of the",
)
NAME_ALONE = 0.4
"""Share of captions with neither attributes nor measured words."""
WITH_TINT, WITH_NAME, WITH_WORD = 0.9, 0.85, 0.4
MOST_PHRASES = 3


def caption(
    rng: np.random.Generator,
    table: AttributeTable,
    label: int,
    tint: str,
    words: tuple[str, ...],
) -> str:
    """Random caption of one image, at most 32 tokens with the bundled tokenizer."""
    alone = rng.random() < NAME_ALONE
    named = alone or rng.random() < WITH_NAME
    noun = table.prompts[label] if named else "item"
    subject = f"{tint} {noun}" if rng.random() < WITH_TINT else noun
    opening = OPENINGS[rng.integers(len(OPENINGS))]
    if alone:
        return f"{opening} {subject}"
    phrases = list(table.phrases(table.classes[label]))
    most = min(MOST_PHRASES, len(phrases))
    count = int(rng.integers(0 if named else most, most + 1))
    chosen = [phrases[i] for i in sorted(rng.choice(len(phrases), count, replace=False))]
    measured = [word for word in words if rng.random() < WITH_WORD][:3]
    return ", ".join([f"{opening} {subject}", *chosen, *measured])


def vocabulary(table: AttributeTable, tints: tuple[str, ...], words: tuple[str, ...]) -> set[str]:
    """Every word that a caption can hold, and the words of usual prompt templates."""
    usual = "a an the photo picture image drawing of with and in on small large item clothing ,"
    text = [usual, *OPENINGS, *table.prompts, *table.attributes, *tints, *words]
    return set(" ".join(text).replace("-", " - ").split())
