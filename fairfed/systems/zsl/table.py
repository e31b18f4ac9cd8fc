"""Rows as features, their classes, and what is known of the classes without a row.

The field's own data are xlsa17's features and "proposed splits" (Xian et al., TPAMI 2018):
`res101.mat` holds `features` ``[d, n]`` and `labels` ``[n, 1]``, `att_splits.mat` the attributes
and row numbers; both count from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from semantic.attributes import AttributeTable, load_attributes
from semantic.errors import InputError
from semantic.formats import SPLITS_FILE, read_mat
from semantic.naming import UNNAMED_GROUPS

Floats = npt.NDArray[np.float32]
FEATURES_FILE = "res101.mat"
LOCATIONS = ("trainval_loc", "val_loc", "test_seen_loc", "test_unseen_loc")


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features with their classes."""

    features: Floats  # ``[n, d]``
    labels: npt.NDArray[np.int64]  # ``[n]`` positions in `classes`
    test: npt.NDArray[np.bool_]  # ``[n]``, True where a row is for testing only
    classes: tuple[str, ...]  # names
    attributes: Floats  # ``[C, A]``, rows of length 1: mid-level attributes of the classes
    # ``[C, T]``, unit CLIP embeddings of the classes' prompts; T = 0 where no variant uses them
    texts: Floats
    rectified: bool  # whether features are a CNN's after its ReLU, never negative
    # Classes that the data itself proposes for the test and for validation; empty if none
    unseen: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    groups: tuple[str, ...] = UNNAMED_GROUPS[:1]  # groups that images of every class are shown in


def unit_attributes(table: AttributeTable, classes: tuple[str, ...]) -> Floats:
    """Attribute vectors of length 1, ``[C, A]``, as xlsa17's `att` is; none may be empty."""
    values = table.values[[table.row(name) for name in classes]]
    lengths = np.linalg.norm(values, axis=1) if values.shape[1] else np.zeros(len(classes))
    if not lengths.all():
        raise InputError(
            f"class {classes[int(np.argmin(lengths))]!r} has no attribute in the attribute table; "
            "zero-shot learning by attributes needs every class's row filled in"
        )
    found: Floats = (values / lengths[:, np.newaxis]).astype(np.float32)
    return found


def load_xlsa17(folder: Path, texts: Floats | None = None) -> FeatureTable:
    """Read a data set in xlsa17's format: a folder of `res101.mat` and `att_splits.mat`.

    Test rows are `test_seen_loc` and `test_unseen_loc`; rows in no list are for testing, too, so
    that nothing is trained on that the splits do not give. Classes of `test_unseen_loc` and of
    `val_loc` are proposed as unseen and for validation. `texts` ``[C, T]`` are CLIP embeddings of
    the classes' prompts; None for none.

    Raises
    ------
    InputError
        If a file is missing, or what it holds is not as it should be; names file and field.
    """
    require_files(folder)
    found, splits = folder / FEATURES_FILE, folder / SPLITS_FILE
    features, labels = _rows(found)
    attributes = load_attributes(splits)
    if labels.max() > len(attributes.classes):
        raise InputError(
            f"{found}: label {labels.max()} is beyond the {len(attributes.classes)} classes of "
            f"{splits}; the two files are of different data sets"
        )
    lists = _locations(splits, len(labels))
    test = np.ones(len(labels), bool)
    test[lists["trainval_loc"]] = False

    def classes_of(name: str) -> tuple[str, ...]:
        return tuple(attributes.classes[i - 1] for i in np.unique(labels[lists[name]]).tolist())

    return FeatureTable(
        features=features,
        labels=labels - 1,
        test=test,
        classes=attributes.classes,
        attributes=unit_attributes(attributes, attributes.classes),
        texts=np.zeros((len(attributes.classes), 0), np.float32) if texts is None else texts,
        rectified=bool(features.min() >= 0),
        unseen=classes_of("test_unseen_loc"),
        validation=classes_of("val_loc"),
    )


def _rows(path: Path) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Features ``[n, d]`` and labels ``[n]`` from 1."""
    content = _variables(path, ("features", "labels"))
    features = np.ascontiguousarray(np.asarray(content["features"], np.float32).T)
    labels = np.asarray(content["labels"]).ravel().astype(np.int64)
    if features.ndim != 2 or not len(labels) or len(features) != len(labels):
        raise InputError(
            f"{path}: features is {content['features'].shape}, expected [d, {len(labels)}], one "
            "column for each of labels"
        )
    if not np.isfinite(features).all():
        raise InputError(f"{path}: features has values that are not finite")
    if labels.min() < 1:
        raise InputError(f"{path}: labels has {labels.min()}; classes count from 1")
    return features, labels


def _locations(path: Path, count: int) -> dict[str, npt.NDArray[np.int64]]:
    """The lists of rows, from 0."""
    content = _variables(path, LOCATIONS)
    lists = {name: np.asarray(content[name]).ravel().astype(np.int64) - 1 for name in LOCATIONS}
    for name, rows in lists.items():
        if not len(rows) or rows.min() < 0 or rows.max() >= count:
            raise InputError(
                f"{path}: {name} must list rows from 1 to {count} of {FEATURES_FILE}, and at "
                "least one"
            )
    for name in ("test_seen_loc", "test_unseen_loc"):
        if np.isin(lists["trainval_loc"], lists[name]).any():
            raise InputError(f"{path}: trainval_loc and {name} share rows; they must be apart")
    return lists


def require_files(folder: Path) -> None:
    """Refuse a folder that lacks one of the two files; the message names it."""
    for path in (folder / FEATURES_FILE, folder / SPLITS_FILE):
        if not path.is_file():
            raise InputError(
                f"{path} does not exist; zsl.features is a folder with xlsa17's {FEATURES_FILE} "
                f"and {SPLITS_FILE}"
            )


def _variables(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Variables of a MATLAB file; one that cannot be read, or lacks any, is refused."""
    content = read_mat(path)
    lacking = [name for name in names if name not in content]
    if lacking:
        raise InputError(f"{path}: holds no {lacking[0]!r}; expected {', '.join(names)}")
    return content
