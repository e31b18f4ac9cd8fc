"""What the plan says about classes and cells that the data does not show: are they composable."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairfed.augmentation.pipeline import Pipeline
from fairfed.augmentation.source import Source, memory_of
from generators.plan import Cells
from semantic.composable import composability
from semantic.composable_cells import cell_composability
from semantic.induction import measured_sums
from semantic.measures import WORDS, measured_words
from semantic.space import SemanticSpace

MOST_MEASURED = 200
"""Training images of each class whose shape words are counted."""


def composable_parts(pipeline: Pipeline, wanted: Cells) -> dict[str, Any]:
    """Verdicts on the missing classes and cells that shall be filled.

    They matter where the generator knows no more than this data, or where a class is among
    `conditioning.unseen`: a generator that has seen the class elsewhere needs no composition.

    Returns
    -------
    ``classes`` and ``cells``: lists of names, `composable`, and a sentence for the user; ``like``:
    what semantic memory says each missing class is like; ``note`` says why there is no verdict.
    """
    space, source = pipeline.space, pipeline.source
    real = source.cells
    asked = wanted.sum(1) > 0
    unseen = [space.classes[c] for c in np.flatnonzero(asked & (real.sum(1) == 0))]
    return {
        "classes": _classes(space, source, unseen),
        "cells": _cells(space, source, wanted),
        "like": _likenesses(pipeline, unseen) if unseen else [],
        "note": "" if space.table.attributes else _NO_ATTRIBUTES,
    }


_NO_ATTRIBUTES = "the classes have no attributes (semantic.attributes): missing ones are not judged"


def _classes(space: SemanticSpace, source: Source, unseen: list[str]) -> list[dict[str, Any]]:
    if not unseen or not space.table.attributes or len(unseen) == len(space.classes):
        return []
    table = space.table.of(space.classes)
    frequencies = None
    if set(table.attributes) & set(WORDS):
        frequencies = _word_frequencies(source)
    return [
        {"class": found.class_name, "composable": found.composable, "why": found.explain()}
        for found in composability(table, unseen, frequencies)
    ]


def _word_frequencies(source: Source) -> dict[str, dict[str, float]]:
    table, rows = source.table, []
    for label in range(len(table.classes)):
        rows += source.train[table.labels[source.train] == label][:MOST_MEASURED].tolist()
    chosen = np.array(rows, np.int64)
    words = measured_words(table.images[chosen])
    return measured_sums(table.labels[chosen], words, table.classes).frequencies()


def _cells(space: SemanticSpace, source: Source, wanted: Cells) -> list[dict[str, Any]]:
    """Missing cells of classes that there are."""
    real, seen_class = source.cells, source.cells.sum(1) > 0
    said = [space.spoken.get(group, group) for group in space.groups]
    seen = list(dict.fromkeys((space.classes[c], said[g]) for c, g in np.argwhere(real > 0)))
    found = []
    for c, g in np.argwhere((real == 0) & (wanted > 0) & seen_class[:, None]):
        verdict = cell_composability((space.classes[c], space.groups[g]), seen)
        found.append(
            {
                "class": verdict.class_name,
                "group": verdict.group,
                "composable": verdict.composable,
                "why": verdict.reason,
            }
        )
    return found


def _likenesses(pipeline: Pipeline, unseen: list[str]) -> list[dict[str, str]]:
    """For each missing class, what the memory says it is like; empty if nothing was seen."""
    memory = memory_of(pipeline.scorer, pipeline.source)
    return [{"class": name, "like": memory.explain(name)} for name in unseen] if memory.seen else []
