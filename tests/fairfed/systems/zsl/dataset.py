"""A data set in xlsa17's format: six classes whose attributes map linearly to features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

CLASSES = ("001.Horse", "grizzly+bear", "otter", "rat", "seal", "zebra")
UNSEEN, VALIDATION = (4, 5), (3,)
DIMENSION, PER_CLASS = 12, 20


def arrays() -> dict[str, Any]:
    """Variables of both files: attributes map linearly to features, the last 5 rows are tests."""
    rng = np.random.default_rng(0)
    attributes = rng.random((8, len(CLASSES)))
    labels = np.repeat(np.arange(len(CLASSES)), PER_CLASS)
    means = np.maximum(0, rng.normal(size=(DIMENSION, 8)) @ attributes)
    features = np.maximum(0, means[:, labels] + 0.1 * rng.normal(size=(DIMENSION, len(labels))))
    late = np.tile(np.arange(PER_CLASS) >= PER_CLASS - 5, len(CLASSES))
    unseen = np.isin(labels, UNSEEN)

    def numbers(rows: np.ndarray) -> np.ndarray:
        return np.flatnonzero(rows)[:, np.newaxis] + 1

    return {
        "features": features,
        "labels": labels[:, np.newaxis] + 1,
        "att": attributes / np.linalg.norm(attributes, axis=0),
        "original_att": attributes * 100,
        "allclasses_names": np.array([[np.array([name])] for name in CLASSES], dtype=object),
        "trainval_loc": numbers(~unseen & ~late),
        "train_loc": numbers(~unseen & ~late & ~np.isin(labels, VALIDATION)),
        "val_loc": numbers(np.isin(labels, VALIDATION) & ~late),
        "test_seen_loc": numbers(~unseen & late),
        "test_unseen_loc": numbers(unseen),
    }


def write(folder: Path, **changes: Any) -> Path:
    """Write the two files, with variables replaced or (None) left out."""
    folder.mkdir(exist_ok=True)
    content = {**arrays(), **changes}
    content = {name: value for name, value in content.items() if value is not None}
    rows = {name: content.pop(name) for name in ("features", "labels") if name in content}
    savemat(folder / "res101.mat", rows)
    savemat(folder / "att_splits.mat", content)
    return folder
