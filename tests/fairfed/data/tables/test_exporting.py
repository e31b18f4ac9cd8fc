"""A table's model comes out of a run, with what was fitted of its columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet

from fairfed.config import Config
from fairfed.sites.packaged import load_model
from fairfed.systems.classifier.exporting import export_run
from fairfed.systems.classifier.predicting import rows_of, write_predictions
from tests.fairfed.runs import logged, run_of


def test_predictions_of_a_tables_test_rows_are_what_the_run_counted(
    tabular: Callable[..., Config], tmp_path: Path
) -> None:
    config, out = tabular("rounds=1"), tmp_path / "predictions.parquet"
    arm = config.arms[0]
    export_run(run_of(config), tmp_path / "model", arm.name)
    model = load_model(tmp_path / "model")
    n = write_predictions(model, rows_of(config, model, True, "all"), out)
    found = pyarrow.parquet.read_table(out).to_pydict()
    row = [row for row in logged(config) if row["arm"] == arm.name][-1]
    counts = np.sum([client["test_counts"] for client in row["clients"]], axis=0)
    assert counts.sum() == n
    right = sum(a == b for a, b in zip(found["label"], found["prediction"], strict=True))
    assert right == np.trace(counts.sum(0))
    assert set(model.study.labels.sensitive) <= set(found)
