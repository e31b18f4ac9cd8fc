"""The audit of the generator's bias over groups, and what the plan makes of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fairfed.augmentation.output_dir import AUDIT
from fairfed.augmentation.pipeline import Pipeline
from generators.audit import GeneratorAudit, audit_generator, neutral_requests
from generators.group_reading import group_reading
from generators.requests import refuse
from generators.stored import StoredGenerator

Budgets = npt.NDArray[np.float64]

MOST_EXTRA = 4.0
"""The budget of a cell grows at most by this factor."""


def audit(pipeline: Pipeline) -> GeneratorAudit:
    """Ask neutral prompts of every class, read the groups, and write `generator-audit.json`.

    The target is equal shares; CLIP's confusions are known from the real training images. The
    images stay in the store: an interrupted audit continues, and a repeated one makes none.
    """
    table, train = pipeline.source.table, pipeline.source.train
    reading = group_reading(
        pipeline.scorer, table.images[train], table.labels[train], table.groups[train]
    )
    n, seed, classes = (
        pipeline.config.synthesis.audit_images,
        pipeline.config.seed,
        len(table.classes),
    )
    asked = [r for c in range(classes) for r in neutral_requests(pipeline.space, c, n, seed)]
    if pipeline.config.synthesis.generator == "diffusion":
        pipeline.sight.check()
        for request in asked:
            refuse(pipeline.generator, request)
    pipeline.watcher.began("audit", len(asked))
    pipeline.generator.announce(request for request in asked if pipeline.lacks(request))
    stored = StoredGenerator(pipeline.generator, pipeline.store, pipeline.watcher.images_done)
    found = audit_generator(stored, pipeline.scorer, n, seed, reading=reading)
    pipeline.output.begin()
    pipeline.output.write(AUDIT, found.to_json())
    pipeline.watcher.ended("audit", found.to_json())
    return found


def budgets(max_tries: float, found: GeneratorAudit | None, shape: tuple[int, ...]) -> Budgets:
    """Images judged at most per cell, as a multiple of those wanted, ``[n_classes, n_groups]``.

    A generator's bias reaches an export through cells that stay short: images of a group that it
    shows rarely are rejected more often. Such a cell gets `max_tries` times the target's share over
    the generator's, up to `MOST_EXTRA` times.
    """
    tries = np.full(shape, max_tries)
    if found is None:
        return tries
    factors = np.ones(shape)
    for c, row in enumerate(found.classes):
        shares = np.maximum(row.best, 1e-9)
        factors[c, list(found.columns)] = np.clip(np.divide(row.target, shares), 1.0, MOST_EXTRA)
    corrected: Budgets = np.round(tries * factors, 2)
    return corrected
