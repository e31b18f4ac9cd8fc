"""What occurs in which class: a table's phrases, and the words measured on the class's images."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semantic.attributes import TYPICAL, AttributeTable
from semantic.measures import WORDS

OCCURS = 0.05
"""A measured word occurs in a class when at least this share of its images deserve it."""

WordFrequencies = Mapping[str, Mapping[str, float]]
"""Class name → measured word → share of the class's images, in [0, 1]."""


@dataclass(frozen=True)
class Profiles:
    """How typical every phrase and word is of every class, ``[n_classes, n_vocabulary]`` in [0, 1].

    `words` says which entries of the vocabulary are measured words.
    """

    classes: tuple[str, ...]
    vocabulary: tuple[str, ...]
    words: npt.NDArray[np.bool_]
    shares: npt.NDArray[np.float64]

    @property
    def typical(self) -> npt.NDArray[np.bool_]:
        """What describes each class, ``[n_classes, n_vocabulary]``."""
        return self.shares >= TYPICAL

    @property
    def occurs(self) -> npt.NDArray[np.bool_]:
        """What can be learnt from each class: its phrases, and words of some of its images."""
        return self.shares >= np.where(self.words, OCCURS, TYPICAL)

    @property
    def varies(self) -> npt.NDArray[np.bool_]:
        """Words that some images of a class deserve and others do not."""
        return self.words & (self.shares >= OCCURS) & (self.shares <= 1 - OCCURS)


def profiles(
    table: AttributeTable, unseen: Collection[str], frequencies: WordFrequencies
) -> Profiles:
    """Join a table with measured words.

    A seen class's words are what was measured on its images, where there is a measurement. An
    unseen class is described by the table; only a word for which the table has no column is taken
    from `frequencies`.
    """
    counted = {word for shares in frequencies.values() for word in shares}
    added = tuple(w for w in WORDS if w in counted and w not in table.attributes)
    vocabulary = (*table.attributes, *added)
    shares = np.hstack([table.values, np.zeros((len(table.classes), len(added)))])
    for row, name in enumerate(table.classes):
        if name in frequencies:
            replaced = added if name in unseen else [w for w in vocabulary if w in WORDS]
            for word in replaced:
                shares[row, vocabulary.index(word)] = frequencies[name].get(word, 0.0)
    words = np.array([name in WORDS for name in vocabulary], dtype=np.bool_)
    return Profiles(table.classes, vocabulary, words, shares)
