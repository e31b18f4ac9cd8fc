"""Whatever a file holds: counts, or an error for the user; never another exception."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluation.audit.read import ReadSettings, tally_files, tally_frame
from evaluation.errors import InputError

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WAYS = st.sampled_from(
    [
        ReadSettings("y", "p", "s", ("g",), "c", "w", positive=1),
        ReadSettings("y", score="s", sensitive=("g",), positive="1", invalid="drop"),
        ReadSettings("y", "p", sensitive=("g",), cuts={"g": (0.0,)}, invalid="drop"),
        ReadSettings("y", "p", sensitive=("g", "c"), auto_cuts=True, missing="drop"),
        ReadSettings("y", "p", sensitive=("g",), task="regression", invalid="drop"),
    ]
)
NAMES = ("y", "p", "s", "g", "c", "w")
CELLS = st.one_of(
    st.sampled_from([b"0", b"1", b"1.0", b"true", b"", b"nan", b"-1", b"1e308", b"0.5"]),
    st.binary(max_size=6),
    st.text(max_size=6).map(str.encode),
    st.floats().map(lambda value: str(value).encode()),
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.binary(max_size=4)
)


def counted_or_refused(data: bytes, suffix: str, how: ReadSettings) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, f"a.{suffix}")
        path.write_bytes(data)
        with suppress(InputError):
            assert tally_files([path], how).n > 0


@QUICK
@given(st.lists(st.lists(CELLS, min_size=6, max_size=6), max_size=6), WAYS)
def test_any_cells_of_a_csv(rows: list[list[bytes]], how: ReadSettings) -> None:
    lines = [",".join(NAMES).encode(), *(b",".join(row) for row in rows)]
    counted_or_refused(b"\n".join(lines), "csv", how)


@QUICK
@given(st.binary(max_size=60), st.sampled_from(["csv", "parquet", "feather", "csv.gz"]), WAYS)
def test_any_bytes_as_a_file(data: bytes, suffix: str, how: ReadSettings) -> None:
    counted_or_refused(data, suffix, how)


def parquet() -> bytes:
    file = BytesIO()
    columns = {name: [0, 1, 1, 0] for name in NAMES}
    pa.parquet.write_table(pa.table(columns), file)
    return file.getvalue()


WHOLE = parquet()


@QUICK
@given(st.integers(0, len(WHOLE) - 1), WAYS)
def test_a_parquet_file_truncated_anywhere_is_refused(kept: int, how: ReadSettings) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.parquet")
        path.write_bytes(WHOLE[:kept])
        with pytest.raises(InputError, match=r"a\.parquet"):
            tally_files([path], how)


@QUICK
@given(st.lists(st.lists(VALUES, min_size=6, max_size=6), min_size=1, max_size=5), WAYS)
def test_any_values_of_a_frame(rows: list[list[object]], how: ReadSettings) -> None:
    table = {name: [row[i] for row in rows] for i, name in enumerate(NAMES)}
    with suppress(InputError):
        assert 0 <= tally_frame(table, how).n <= len(rows)
