"""Quality of an export: its synthetic images against real ones, in CLIP's space."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.quality import Embedded, QualityReport, assess
from fairfed.augmentation.pipeline import Pipeline
from generators.requests import Image
from generators.store import ImageStore

CHUNK = 1024
"""Synthetic images held in memory together."""


def assess_export(
    pipeline: Pipeline, rows: list[dict[str, Any]], store: ImageStore
) -> QualityReport:
    """Compare accepted images (rows of the manifest) with the real test and training images."""
    source = pipeline.source
    return assess(
        _real(pipeline, source.test),
        _synthetic(pipeline, rows, store),
        training=_real(pipeline, source.train),
        seed=pipeline.config.seed,
    )


def _real(pipeline: Pipeline, chosen: npt.NDArray[np.int64]) -> Embedded:
    table = pipeline.source.table
    return Embedded(
        pipeline.embed(chosen),
        [table.classes[label] for label in table.labels[chosen]],
        [table.group_names[group] for group in table.groups[chosen]],
    )


def _synthetic(pipeline: Pipeline, rows: list[dict[str, Any]], store: ImageStore) -> Embedded:
    parts = [np.zeros((0, pipeline.scorer.encoder.dimension), np.float32)]
    for start in range(0, len(rows), CHUNK):
        images = [_image(store, row["key"]) for row in rows[start : start + CHUNK]]
        parts.append(pipeline.scorer.embed(np.stack(images)))
    return Embedded(
        np.concatenate(parts),
        [row["class_name"] for row in rows],
        [row["group"] for row in rows],
    )


def _image(store: ImageStore, key: str) -> Image:
    """An image that was exported a moment ago."""
    found = store.get(key)
    if found is None:
        raise FileNotFoundError(store.path_of(key))
    return found[1]
