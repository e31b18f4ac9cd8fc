"""However rows are split over files, kinds, batches and calls, the counts are the same."""

from __future__ import annotations

import csv
import gzip
from functools import reduce
from operator import add
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluation.audit import batches
from evaluation.audit.read import ReadSettings, tally_files, tally_frame
from evaluation.audit.sparse import SparseCounts
from evaluation.audit.tally import Tally

Row = dict[str, Any]
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

LABELS = st.sampled_from(["0", "1"])
ROW = st.fixed_dictionaries(
    {
        "y": LABELS,
        "p": LABELS,
        "s": st.floats(0, 1),
        "t": st.floats(0, 1),
        "sex": st.sampled_from(["f", "m", None]),
        "ward": st.sampled_from(["1", "2", "10", None]),
        "age": st.one_of(st.none(), st.integers(0, 99)),
        "site": st.sampled_from(["a", "b", "c"]),
        "w": st.one_of(st.integers(0, 3), st.floats(0, 1e300)),
        "x": st.one_of(st.floats(-1e3, 1e3), st.floats(-1e120, 1e120)),
        "z": st.floats(-1e3, 1e3),
    }
)
ROWS = st.lists(ROW, min_size=1, max_size=30)
FORMS = st.sampled_from(["csv", "csv.gz", "tsv", "tsv.gz", "parquet", "feather"])


def write(folder: Path, i: int, rows: list[Row], form: str, variant: int) -> Path:
    path = folder / f"part{i}.{form}"
    table = {name: [row[name] for row in rows] for name in rows[0]}
    if "sv" in form:
        opened = gzip.open if form.endswith(".gz") else open
        with opened(path, "wt", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=",;\t"[variant])
            writer.writerow(table)
            writer.writerows(zip(*table.values(), strict=True))
        return path
    labels = [pa.int8(), pa.float32(), pa.bool_()][variant]
    types = {"y": labels, "p": labels, "ward": [pa.int64(), pa.float64(), pa.string()][variant]}
    columns = {}
    for name, values in table.items():
        if name in types and types[name] != pa.string():
            values = [None if v is None else int(v) for v in values]
        if name in types and types[name] == pa.bool_():
            values = [bool(v) for v in values]
        columns[name] = pa.array(values, types.get(name))
    columns["sex"] = pa.array(table["sex"]).cast(pa.string()).dictionary_encode()
    write_table = pa.parquet.write_table if form == "parquet" else pa.feather.write_feather
    write_table(pa.table(columns), path)
    return path


def same_counts(a: SparseCounts | None, b: SparseCounts | None) -> bool:
    if a is None or b is None:
        return a is b
    values = np.array_equal(a.values, b.values) and a.values.dtype == b.values.dtype
    return a.shape == b.shape and np.array_equal(a.keys, b.keys) and values


def same(a: Tally, b: Tally) -> bool:
    assert a.schema == b.schema
    names = ("confusion", "scores", "errors")
    return all(same_counts(getattr(a, name), getattr(b, name)) for name in names)


def check(rows: list[Row], data: st.DataObject, how: ReadSettings) -> None:
    """Compare the pooled rows with any split of them, in any order."""
    whole = tally_frame({name: [row[name] for row in rows] for name in rows[0]}, how)
    shuffled = data.draw(st.permutations(rows), label="order")
    n = data.draw(st.integers(1, 4), label="parts")
    part = data.draw(st.lists(st.integers(0, n - 1), min_size=len(rows), max_size=len(rows)))
    with TemporaryDirectory() as name:
        paths = []
        for i in set(part):
            own = [row for row, at in zip(shuffled, part, strict=True) if at == i]
            variant = data.draw(st.integers(0, 2))
            paths.append(write(Path(name), i, own, data.draw(FORMS), variant))
        with mock.patch.object(batches, "ROWS", data.draw(st.integers(1, 30), label="batch")):
            assert same(tally_files(paths, how), whole)
            assert same(reduce(add, [tally_files([path], how) for path in paths]), whole)


@QUICK
@given(ROWS, st.data())
def test_classes_scores_and_weights_add_exactly(rows: list[Row], data: st.DataObject) -> None:
    sensitive = ("sex", "ward", "age")
    cuts = {"age": (25, 45.5)}
    how = ReadSettings("y", "p", "s", sensitive, "site", "w", positive=1, cuts=cuts, bins=16)
    check(rows, data, how)


@QUICK
@given(ROWS, st.data())
def test_scores_alone_predict_the_same_everywhere(rows: list[Row], data: st.DataObject) -> None:
    by_class = {"0": "s", "1": "t"}
    score, positive = data.draw(st.sampled_from([("s", 1), (by_class, None), (by_class, "0")]))
    check(
        rows,
        data,
        ReadSettings(
            "y", score=score, sensitive=("ward",), positive=positive, classes=(0, 1), bins=4
        ),
    )


@QUICK
@given(ROWS, st.data())
def test_errors_of_a_regression_add_exactly(rows: list[Row], data: st.DataObject) -> None:
    how = ReadSettings("x", "z", sensitive=("sex", "ward"), client="site", task="regression")
    check(rows, data, how)
