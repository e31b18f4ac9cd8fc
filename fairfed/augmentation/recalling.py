"""Semantic memory at work: what a missing class is like, and how that conditions its images."""

from __future__ import annotations

from dataclasses import dataclass, field

from fairfed.augmentation.source import Source
from semantic.conditioning import Conditioner, Description
from semantic.memory import SemanticMemory, compose, remember
from semantic.space import Cell, CellScorer


def memory_of(scorer: CellScorer, source: Source) -> SemanticMemory:
    """Memory of the classes that have training images; the table may know others, too."""
    space = scorer.space
    seen = tuple(n for n, real in zip(space.classes, source.cells.sum(1), strict=True) if real)
    return remember(scorer.encoder, space.table.of(space.classes), seen)


@dataclass(frozen=True)
class RecallingConditioner(Conditioner):
    """Composes missing classes from the nearest seen ones; describes the others as configured.

    Attributes
    ----------
    memory
        What has been seen.
    """

    memory: SemanticMemory | None = field(default=None, compare=False)

    def describe(self, cell: Cell, seed: int) -> Description:
        """Description of an image of the cell; all images of a missing class share theirs."""
        memory = self.memory
        if memory is None or cell.class_name in memory.seen:
            return super().describe(cell, seed)
        return compose(memory, self.space, cell, self.weight)


def likenesses(scorer: CellScorer, source: Source, unseen: list[str]) -> list[dict[str, str]]:
    """For each missing class, what the memory says it is like; empty if nothing was seen."""
    memory = memory_of(scorer, source)
    if not memory.seen:
        return []
    return [{"class": name, "like": memory.explain(name)} for name in unseen]
