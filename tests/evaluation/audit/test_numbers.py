"""Numbers mean what their text says, whatever their type; cut points never move a row."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pyarrow import csv, parquet

from evaluation.audit import leading_bits
from evaluation.audit.columns import Place, numbers
from evaluation.audit.groups import cut_points, shares_of
from evaluation.audit.labels import number_text, simplest
from evaluation.audit.leading_bits import Cells, codes_of, numbers_of, surplus
from evaluation.audit.read import ReadSettings, read_files, read_frame, tally_files, tally_frame
from evaluation.audit.schema import cut_levels
from evaluation.errors import InputError

HERE = Place("table")


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_a_float32_is_the_number_of_its_shortest_text(values: list[float]) -> None:
    narrow = np.array(values, np.float32)
    assert numbers(pa.array(narrow), "x", HERE).tolist() == [float(str(own)) for own in narrow]


@pytest.mark.parametrize(
    "array",
    [
        pa.array(np.array([0.7, 0.3], np.float16)),
        pa.array([0.7, 0.3], pa.float32()),
        pa.array([Decimal("0.7"), Decimal("0.3")]),
        pa.array([Decimal("0.70"), Decimal("0.30")], pa.decimal256(60, 20)),
        pa.array(["0.7", " 0.30"]),
        pa.array([0.7, 0.3], pa.float32()).dictionary_encode(),
    ],
    ids=["half", "float", "decimal", "wide decimal", "text", "dictionary"],
)
def test_seven_tenths_are_seven_tenths(array: Any) -> None:
    assert numbers(array, "x", HERE).tolist() == [0.7, 0.3]


def test_whole_numbers_and_truths_are_the_nearest_float() -> None:
    large = [2**53 + 1, 2**63 + 2**11]
    assert numbers(pa.array(large, pa.uint64()), "x", HERE).tolist() == [float(n) for n in large]
    assert numbers(pa.array([True, None, False]), "x", HERE)[[0, 2]].tolist() == [1, 0]
    half = numbers(pa.array([np.float16(0.1), None], pa.float16()), "x", HERE)
    assert half[0] == 0.1
    assert np.isnan(half[1])


def test_groups_of_halves_are_named_by_their_text() -> None:
    table = {"y": [0, 1], "p": [0, 1], "g": np.array([0.1, 0.7], np.float16)}
    (axis,) = tally_frame(table, ReadSettings("y", "p", sensitive=("g",))).schema.axes
    assert axis.levels == ("0.1", "0.7")


def test_a_threshold_parts_the_same_rows_in_every_kind_of_file(tmp_path: Path) -> None:
    """0.7 as float32 lies below 0.7; as it is written in a file it does not."""
    scores = np.array([0.7, 0.69, 0.71, 0.2], np.float32)
    table = pa.table({"y": [1, 0, 1, 0], "s": scores, "g": scores})
    parquet.write_table(table, tmp_path / "a.parquet")
    csv.write_csv(table, tmp_path / "a.csv")
    how = ReadSettings(
        "y", score="s", sensitive=("g",), positive=1, threshold=0.7, cuts={"g": (0.7,)}
    )
    for name in ("a.parquet", "a.csv"):
        found = tally_files([tmp_path / name], how).counts(["g"])
        assert found.groups == ("< 0.7", ">= 0.7")
        assert found.values.tolist() == [[[2, 0], [0, 0]], [[0, 0], [0, 2]]]


@pytest.mark.parametrize("stated", [np.float32(0.7), "0.7", np.float16(0.7), Decimal("0.7")])
def test_what_a_user_states_is_read_alike(stated: Any) -> None:
    how = ReadSettings("y", score="s", sensitive=("g",), positive=1, threshold=stated,
                       cuts={"g": (0, stated)})  # fmt: skip
    assert (how.threshold, how.cuts["g"]) == (0.7, (0.0, 0.7))
    with pytest.raises(InputError, match="threshold: expected a number from 0 to 1"):
        ReadSettings("y", score="s", positive=1, threshold="high")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cut points of 'g': expected finite numbers"):
        ReadSettings("y", "p", sensitive=("g",), cuts={"g": ("old",)})  # type: ignore[dict-item]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_text_stands_for_its_number_alone(value: float) -> None:
    assert float(number_text(value)) == value
    assert not number_text(value).endswith(".0")


def test_labels_of_cuts_have_all_digits() -> None:
    assert cut_levels((1000000050, 1000000051)) == (
        "< 1000000050", "1000000050 to < 1000000051", ">= 1000000051",
    )  # fmt: skip
    assert cut_levels((0.1234567,)) == ("< 0.1234567", ">= 0.1234567")


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_the_simplest_number_parts_as_the_upper_one_does(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    if low < high:
        assert low < simplest(low, high) <= high


@given(st.lists(st.floats(allow_nan=False), min_size=2))
def test_codes_sort_as_their_numbers(values: list[float]) -> None:
    numbers_ = np.array(values)
    codes = codes_of(numbers_)
    ranks = [np.unique(own, return_inverse=True)[1] for own in (codes, numbers_)]
    assert np.array_equal(*ranks)
    assert np.array_equal(numbers_of(codes), numbers_)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.integers(0, 30), st.integers(2, 6))
def test_cells_are_the_same_however_numbers_are_split(
    values: list[float], cut: int, limit: int
) -> None:
    codes = codes_of(np.array(values))

    def cells_of(own: np.ndarray) -> Cells:
        found = np.unique(own)
        return Cells(found).coarser(surplus(found, limit))

    whole = cells_of(codes)
    least = min(d for d in range(65) if len(np.unique(codes >> min(d, 63))) <= limit)
    assert whole.dropped == least
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leading_bits, "LIMIT", limit)
        patch.setattr(surplus, "__defaults__", (limit,))
        parts = cells_of(codes[:cut]).united(cells_of(codes[cut:]))
    assert (parts.dropped, parts.codes.tolist()) == (whole.dropped, whole.codes.tolist())
    if whole.dropped > 52:
        return  # bits of the exponent are gone, and edges are no numbers: 2¹⁷ cells never get there
    at = Cells(np.unique(codes)).places(whole)
    distinct = numbers_of(np.unique(codes))
    assert (whole.low[at] <= distinct).all()
    assert (distinct <= whole.high[at]).all()


def auto(values: Any, groups: int = 4) -> tuple[tuple[float, ...], str, list[int]]:
    n = len(values)
    how = ReadSettings("y", "p", sensitive=("x",), auto_cuts=True, quantiles=groups)
    reading = read_frame({"y": np.ones(n, int), "p": np.ones(n, int), "x": values}, how)
    sizes = reading.tally.counts(["x"]).values.sum(axis=(1, 2)).tolist()
    return reading.settings.cuts["x"], reading.notes[0], sizes


def test_one_value_that_dominates_is_cut_around() -> None:
    cuts, note, sizes = auto(np.r_[np.zeros(900, int), np.arange(1, 101)])
    assert (cuts, sizes) == ((1.0,), [900, 100])
    assert note == "x was cut at 1 into groups of 90.0, 10.0 % of its rows (asked: 4 equal ones)"
    cuts, _, sizes = auto(np.r_[np.arange(-10, 0), np.zeros(80, int), np.arange(1, 11)])
    assert (cuts, sizes) == ((0.0, 1.0), [10, 80, 10])


def test_years_are_cut_at_the_year() -> None:
    assert auto(np.repeat(np.arange(1960, 2000), 10), 2)[::2] == ((1980.0,), [200, 200])


@given(
    st.lists(st.sampled_from([-3.5, 0.0, 0.1, 2.0, 1e9 + 50, 1e9 + 51]), min_size=1, max_size=60),
    st.integers(2, 5),
)
def test_no_cut_elsewhere_would_be_nearer_to_equal_groups(values: list[float], n: int) -> None:
    occurring, rows = np.unique(values, return_counts=True)
    assume(len(occurring) > 1)
    cells = Cells(codes_of(occurring))
    cuts = cut_points(cells, rows, n)
    shares = np.diff([0.0, *(np.mean(np.array(values) < cut) for cut in cuts), 1.0])
    assert shares_of(cells, rows, cuts) == pytest.approx(shares)
    assert min(shares) > 0
    edges = [sum(v < own for v in values) for own in sorted(set(values))[1:]]
    below = {sum(v < cut for v in values) for cut in cuts}
    for part in range(1, n):
        nearest = min(abs(edge - part * len(values) / n) for edge in edges)
        assert any(abs(edge - part * len(values) / n) == nearest for edge in below)


def test_cut_points_of_any_number_of_values_need_no_more_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Beyond the limit cells stand for numbers: cuts lie at their edges, in any order of rows."""
    monkeypatch.setattr(surplus, "__defaults__", (512,))
    values = np.random.default_rng(0).lognormal(10, 1, 5000)
    found = []
    for order in (np.arange(5000), np.argsort(values)):
        table = pa.table({"x": values[order], "y": np.ones(5000), "p": np.ones(5000)})
        csv.write_csv(table, tmp_path / "a.csv")
        settings = ReadSettings("y", "p", sensitive=("x",), auto_cuts=True)
        found.append(read_files([tmp_path], settings).settings.cuts["x"])
    assert found[0] == found[1]
    below = [(values < cut).mean() for cut in found[0]]
    assert below == pytest.approx([0.25, 0.5, 0.75], abs=0.01)
