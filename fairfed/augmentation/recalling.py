"""Semantic memory of the data that is augmented: what a missing class is like."""

from __future__ import annotations

from fairfed.augmentation.source import Source
from semantic.memory import SemanticMemory, remember
from semantic.space import CellScorer


def memory_of(scorer: CellScorer, source: Source) -> SemanticMemory:
    """Memory of the classes that have training images; the table may know others, too."""
    space = scorer.space
    seen = tuple(n for n, real in zip(space.classes, source.cells.sum(1), strict=True) if real)
    return remember(scorer.encoder, space.table.of(space.classes), seen)


def likenesses(scorer: CellScorer, source: Source, unseen: list[str]) -> list[dict[str, str]]:
    """For each missing class, what the memory says it is like; empty if nothing was seen."""
    memory = memory_of(scorer, source)
    if not memory.seen:
        return []
    return [{"class": name, "like": memory.explain(name)} for name in unseen]
