"""The federation's label space with meaning: cells, their prompts, and scores of images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from semantic.arrays import Flags, ImageRows, Images, Vectors
from semantic.attributes import AttributeTable
from semantic.errors import InputError
from semantic.naming import CROSSED, TEMPLATES, UNKNOWN, UNNAMED_GROUPS, unfit_template

if TYPE_CHECKING:
    from torch import Tensor

    from semantic.encoder import ClipEncoder


def known_groups(groups: Sequence[str]) -> Flags:
    """Say of which groups all sensitive values are known, ``[n_groups]``.

    Of the others nobody could say what an image shall show or whom a gap is about: nothing is
    synthesised for them, and no metric compares them.
    """
    return np.array([UNKNOWN not in group.split(CROSSED) for group in groups], bool)


BEHIND = ("of", "with", "on", "in", "at", "from", "by")
"""Words for a group that begin so stand behind the noun."""
MOST_KEPT = 50_000
"""Embeddings that a scorer keeps."""


@dataclass(frozen=True)
class Cell:
    """One class × group combination, by name."""

    class_name: str
    group: str

    def __str__(self) -> str:
        return (
            self.class_name if self.group in UNNAMED_GROUPS else f"{self.class_name} × {self.group}"
        )


@dataclass(frozen=True)
class SemanticSpace:
    """Classes and groups, in the order of the federation's indices, with what they are called.

    The table, which must have all classes, has their nouns and attributes. Prompt templates have
    the fields `{noun}` and `{group}`. `spoken` is what is said of a group, by its name, where that
    is less than its name says: its values that cannot be seen are `all`. `worded` is what a value
    of a group is called, where that is not its name; words that follow a noun, as "of a woman",
    stand behind it.
    """

    classes: tuple[str, ...]
    groups: tuple[str, ...]
    table: AttributeTable
    templates: tuple[str, ...] = field(default=TEMPLATES)
    spoken: Mapping[str, str] = field(default_factory=dict, hash=False)
    worded: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in self.classes:
            self.table.row(name)
        wrong = next(filter(None, map(unfit_template, self.templates)), None)
        if wrong:
            raise InputError(wrong)

    def cell(self, class_index: int, group_index: int) -> Cell:
        """Cell at a position."""
        return Cell(self.classes[class_index], self.groups[group_index])

    def prompts(self, cell: Cell, noun: str | None = None) -> list[str]:
        """Prompts of a cell, one per template; with `noun` in place of the class's own."""
        values = self.spoken.get(cell.group, cell.group).split(CROSSED)
        said = [self.worded.get(value, value) for value in values if value not in UNNAMED_GROUPS]
        behind = [words for words in said if words.split(" ")[0] in BEHIND]
        group = " ".join(words for words in said if words not in behind)
        noun = " ".join([noun or self.table.noun(cell.class_name), *behind])
        return [" ".join(t.format(noun=noun, group=group).split()) for t in self.templates]

    def alike(self, class_index: int, group_index: int) -> list[int]:
        """Groups in which a class is described as in this one, itself among them."""
        own = self.prompts(self.cell(class_index, group_index))
        groups = range(len(self.groups))
        return [g for g in groups if self.prompts(self.cell(class_index, g)) == own]


class CellScorer:
    """Scores images against every cell of a space by CLIP.

    A cell's text embedding is the mean over its prompts. The score of an image for a cell is the
    log-probability that CLIP gives the cell among all cells; cells that are described alike,
    because nothing is said of what tells them apart, are one to it.
    """

    def __init__(self, encoder: ClipEncoder, space: SemanticSpace) -> None:
        import torch

        self.encoder = encoder
        self.space = space
        cells = [
            space.cell(c, g) for c in range(len(space.classes)) for g in range(len(space.groups))
        ]
        described = [(cell.class_name, *space.prompts(cell)) for cell in cells]
        distinct = list(dict.fromkeys(described))
        # Of each cell, ``[n_classes · n_groups]``: its description among the distinct ones.
        self._which = np.array([distinct.index(own) for own in described], np.int64)
        means = [encoder.embed_texts(list(prompts)).mean(0) for _, *prompts in distinct]
        self._texts: Tensor = torch.nn.functional.normalize(torch.stack(means), dim=1)
        self._kept: dict[bytes, Vectors] = {}

    @property
    def fingerprint(self) -> str:
        """Identity of what the scores depend on."""
        parts = repr((self.encoder.fingerprint, self.space.classes, self.space.groups,
                      self.space.table.prompts, self.space.templates,
                      *sorted(self.space.spoken.items()),
                      *sorted(self.space.worded.items())))  # fmt: skip
        return hashlib.sha256(parts.encode()).hexdigest()[:16]

    def scores(self, images: Images) -> Vectors:
        """Log-probabilities of the cells, of images ``[n, H, W, 3]``, 0 to 255.

        ``[n, n_classes, n_groups]``; the exponentials of a row sum to 1, each description counted
        once.
        """
        return self.scores_of(self.embed(images))

    def embed(self, images: ImageRows) -> Vectors:
        """Unit embeddings of images ``[n, H, W, 3]``; ``[n, dimension]``.

        They are kept, by the images' pixels: several sites judge the same synthetic ones.
        """
        keys = [hashlib.sha256(image.tobytes()).digest() for image in images]
        new = {key: i for i, key in enumerate(keys) if key not in self._kept}
        if len(self._kept) + len(new) > MOST_KEPT:
            self._kept, new = {}, {key: i for i, key in enumerate(keys)}
        kept = self._kept
        if new:
            found = self.encoder.embed_images(images[list(new.values())]).numpy()
            kept |= dict(zip(new, found, strict=True))
        rows = [kept[key] for key in keys]
        return np.stack(rows) if rows else np.zeros((0, self.encoder.dimension), np.float32)

    def scores_of(self, embeddings: Vectors) -> Vectors:
        """Log-probabilities of the cells, as `scores`, from what `embed` returned."""
        import torch

        logits = self.encoder.scale * torch.from_numpy(embeddings) @ self._texts.T
        shape = (len(embeddings), len(self.space.classes), len(self.space.groups))
        found: Vectors = logits.log_softmax(1).numpy()[:, self._which]
        return found.reshape(shape)


def margins(
    scores: Vectors,
    class_index: int,
    group_index: int,
    alike: Sequence[int] = (),
) -> Vectors:
    """How much better each image fits the intended cell than any other, in nats, ``[n]``.

    The log-probability (`CellScorer.scores`) of the intended cell minus the best of the others;
    positive where CLIP reads the image as intended, infinite if there is no other cell. Groups in
    which the class is described as in this one (`alike`) are no rivals.
    """
    flat = scores.reshape(len(scores), -1)
    first = class_index * scores.shape[2]
    own = first + group_index
    best = np.delete(flat, [own, *(first + g for g in alike)], axis=1).max(1, initial=-np.inf)
    apart: Vectors = flat[:, own] - best
    return apart
