"""Reading the field's own data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairfed.systems.zsl.table import load_xlsa17
from semantic.errors import InputError

Write = Callable[..., Path]


def test_rows_classes_and_proposed_splits_arrive(xlsa17: Write) -> None:
    table = load_xlsa17(xlsa17())
    assert table.features.shape == (120, 12)
    assert table.features.dtype == np.float32
    assert table.classes[1] == "grizzly+bear"
    assert table.labels.tolist() == np.repeat(np.arange(6), 20).tolist()
    assert table.unseen == ("seal", "zebra")
    assert table.validation == ("rat",)
    assert table.rectified
    assert table.test[60:80].tolist() == [False] * 15 + [True] * 5
    assert table.test[80:].all()
    assert np.linalg.norm(table.attributes, axis=1) == pytest.approx(np.ones(6))
    assert table.texts.shape == (6, 0)


def test_features_below_zero_are_not_rectified(xlsa17: Write) -> None:
    features = np.zeros((12, 120))
    features[3, 7] = -0.5
    assert not load_xlsa17(xlsa17(features=features)).rectified


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": None}, "res101.mat: holds no 'features'"),
        ({"features": np.ones((12, 119))}, r"features is \(12, 119\), expected \[d, 120\]"),
        ({"features": np.full((12, 120), np.nan)}, "values that are not finite"),
        ({"labels": np.zeros((120, 1))}, "classes count from 1"),
        ({"labels": np.full((120, 1), 7)}, "label 7 is beyond the 6 classes"),
        ({"val_loc": None}, "att_splits.mat: holds no 'val_loc'"),
        ({"test_seen_loc": [[121]]}, "test_seen_loc must list rows from 1 to 120"),
        ({"test_seen_loc": [[1]]}, "trainval_loc and test_seen_loc share rows"),
        ({"original_att": None, "att": None}, "expected allclasses_names and original_att or att"),
        ({"original_att": np.zeros((8, 6)), "att": None}, "has no attribute"),
    ],
)
def test_what_is_wrong_is_named(xlsa17: Write, changes: dict[str, Any], message: str) -> None:
    folder = xlsa17(**changes)
    with pytest.raises(InputError, match=message):
        load_xlsa17(folder)


def test_a_missing_or_foreign_file_is_named(xlsa17: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"res101.mat does not exist; zsl.features is a folder"):
        load_xlsa17(tmp_path)
    folder = xlsa17()
    (folder / "res101.mat").write_text("not a mat file at all, whatever its name says" * 10)
    with pytest.raises(InputError, match="is no MATLAB file"):
        load_xlsa17(folder)
