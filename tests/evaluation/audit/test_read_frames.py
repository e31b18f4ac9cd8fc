"""Arrays, frames, settings and cut points."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.audit.read import (
    ReadSettings,
    read_files,
    read_frame,
    tally_arrays,
    tally_frame,
)
from evaluation.counts import GroupCounts
from evaluation.errors import InputError


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=40))
def test_counts_are_those_of_indices(rows: list[tuple[int, int, int]]) -> None:
    truth, predicted, group = (np.array(column) for column in zip(*rows, strict=True))
    tally = tally_arrays(truth, predicted, group, classes=(0, 1, 2))
    names = ("0", "1", "2")
    expected = GroupCounts.from_labels(truth, predicted, group, names, names)
    found = tally.counts(["group"])
    kept = [names.index(name) for name in found.groups]
    assert np.array_equal(found.values, expected.values[kept])
    assert found.n == len(rows)


@pytest.mark.parametrize(
    "column",
    [
        [1, 0, 1],
        [True, False, True],
        ["1", "0", "1.0"],
        [1, "0", True],
        [1.0, False, "1"],
        np.array([1, 0, 1], np.int8),
        np.array(["1", "0", "1"]),
        pd.Series([1, 0, 1], dtype="Int64"),
        pd.Series(["1", "0", "1"], dtype="category"),
        pd.Series([1, 0, "1"], index=[5, 6, 7], dtype=object),
        pa.chunked_array([[1, 0], [1]]),
    ],
)
def test_labels_of_any_type_are_the_same(column: Any) -> None:
    tally = tally_arrays([1, 0, 0], column, positive=1)
    assert tally.schema.classes == ("0", "1")
    assert tally.counts([]).values.tolist() == [[[1, 1], [0, 1]]]


TIMES = pd.to_datetime(["2024-01-05 00:00", "2024-02-01 12:30", None])


@pytest.mark.parametrize(
    ("column", "groups"),
    [
        (pd.cut(pd.Series([5, 50, None]), [0, 10, 100]), ("(0, 10]", "(10, 100]", "(missing)")),
        (pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3]), ("(0, 1]", "(1, 2]", "(2, 3]")),
        (pd.PeriodIndex(["2024-01", None, "2025-02"], freq="M"),
         ("2024-01", "2025-02", "(missing)")),
        (TIMES, ("2024-01-05", "2024-02-01 12:30:00", "(missing)")),
        (TIMES.tz_localize("UTC"), ("2024-01-05 00:00:00Z", "2024-02-01 12:30:00Z", "(missing)")),
        (np.array(["2024-01-05", "2024-02-01", "NaT"], "datetime64[D]"),
         ("2024-01-05", "2024-02-01", "(missing)")),
        (pd.array([1.5, None, 2], dtype="Float64"), ("1.5", "2", "(missing)")),
        (pd.array([True, None, False], dtype="boolean"), ("false", "true", "(missing)")),
        (pd.arrays.SparseArray([1, 0, 2]), ("0", "1", "2")),
        (np.array([["a"], ["b"], ["c"]]), ("a", "b", "c")),
        ([["a"], ["b"], ["c"]], ("a", "b", "c")),
        ([1, "NA", b"x"], ("1", "x", "(missing)")),
    ],
)  # fmt: skip
def test_groups_of_any_type_have_their_names(column: Any, groups: tuple[str, ...]) -> None:
    for sensitive in (column, {"g": column}):
        assert tally_arrays([1, 0, 0], [1, 1, 0], sensitive).schema.axes[0].levels == groups


def test_tensors_and_single_columns_are_read() -> None:
    torch = pytest.importorskip("torch")
    truth = torch.tensor([[1], [0], [0]])
    score = torch.tensor([0.75, 0.25, 0.5], requires_grad=True)
    group = pd.DataFrame({"sex": ["f", "f", "m"]})
    tally = tally_arrays(truth, pd.DataFrame({"p": [1, 1, 0]}), group, score=score, positive=1)
    assert tally.counts(["sex"]).values.tolist() == [[[0, 1], [0, 1]], [[1, 0], [0, 0]]]


class Lazy:
    """What polars calls a LazyFrame, as far as an audit sees it."""

    columns = ("y", "p", "sex")

    def __init__(self, rows: Any) -> None:
        self.collect = lambda: rows


def test_lazy_frames_and_structured_arrays_are_tables() -> None:
    frame = pd.DataFrame({"y": [1, 0], "p": [1, 1], "sex": ["f", "m"]})
    how = ReadSettings("y", "p", sensitive=("sex",))
    expected = tally_frame(frame, how).counts(["sex"])
    for table in (Lazy(frame), frame.to_records(index=False)):
        assert np.array_equal(tally_frame(table, how).counts(["sex"]).values, expected.values)
    arrow = pa.Table.from_pandas(frame[["sex"]])
    for groups in (Lazy(frame[["sex"]]), arrow):
        found = tally_arrays([1, 0], [1, 1], groups)
        assert found.schema.axes[0].levels == ("f", "m")


@pytest.mark.parametrize("table", [[1, 0], "a.csv", None, np.zeros((2, 2))])
def test_what_is_no_table_is_said(table: Any) -> None:
    with pytest.raises(InputError, match="table: expected a DataFrame, a pyarrow.Table or arrays"):
        tally_frame(table, ReadSettings("y", "p"))


@pytest.mark.parametrize("column", [1, "ab", np.zeros(()), np.zeros((1, 2)), [[1, 2]]])
def test_what_is_no_column_is_said(column: Any) -> None:
    with pytest.raises(InputError, match="'y_pred': expected one value per row"):
        tally_arrays([1], column)


def test_categories_that_do_not_occur_are_no_groups() -> None:
    group = pd.Categorical(["b", "b", None], categories=["a", "b", "z"])
    tally = tally_arrays([1, 0, 0], [1, 1, 0], group)
    assert tally.schema.axes[0].levels == ("b", "(missing)")


def test_frames_tables_and_mappings_are_read_alike() -> None:
    frame = pd.DataFrame({"y": [1, 0], "p": [1, 1], "s": [0.2, 0.9], "sex": ["f", None]})
    how = ReadSettings("y", "p", "s", ("sex",), positive=1, bins=10)
    forms: list[Any] = [frame, pa.Table.from_pandas(frame), frame.to_dict("list")]
    schemas = {tally_frame(form, how).schema for form in forms}
    cells = [tally_frame(form, how).scores for form in forms]
    assert len(schemas) == 1
    assert all(own is not None and own.keys.tolist() == [12, 29] for own in cells)


def test_no_row_gives_counts_of_nothing() -> None:
    tally = tally_arrays([], [], {"sex": [], "race": []}, score=[], positive=1)
    assert tally.n == 0
    whole = tally_arrays([1], [1], {"sex": ["f"], "race": ["x"]}, score=[1], positive=1)
    assert (whole + tally).schema == whole.schema
    assert (tally + whole).n == 1


def test_weights_are_summed_exactly() -> None:
    tally = tally_arrays([1, 1], [1, 1], weight=[0.1, 2**19], score=[1, 0.5], positive=1, bins=2)
    # The float 0.1 is a multiple of 2⁻⁵⁵, and so of the finest digit, 2⁻⁶⁰.
    assert tally.schema.place == -2
    tenth = int(Fraction(0.1) * 2**60)
    expected = [2, tenth + 2**79, tenth**2 + 2**158]
    assert tally.confusion is not None
    assert tally.scores is not None
    assert tally.confusion.values.tolist() == [expected]
    # Both scores lie in the upper of two bins, which is closed at 1.
    assert (tally.scores.keys.tolist(), tally.scores.values.tolist()) == ([3], [expected[:2]])


def test_errors_are_prediction_less_truth() -> None:
    tally = tally_arrays([1.0, 2.0], [1.5, 1.0], task="regression")
    assert tally.errors is not None
    assert tally.schema.place == -1
    unit = 2**30
    errors = [2, -0.5 * unit, 1.5 * unit, 1.25 * unit**2]
    assert tally.errors.values.tolist() == [errors]


def test_errors_whose_squares_are_no_numbers_are_refused() -> None:
    for far in (1e151, -1e200):
        with pytest.raises(InputError, match=r"row 2, column 'y_pred': an error of .*larger unit"):
            tally_arrays([0, 0], [0, far], task="regression")
    with pytest.raises(InputError, match="an error of inf"):
        tally_arrays([-1.7e308], [1.7e308], task="regression")


def test_a_score_alone_predicts_at_the_threshold() -> None:
    tally = tally_arrays(["no", "yes", "no"], score=[0.3, 0.3, 0.29], positive="yes", threshold=0.3)
    assert tally.schema.classes == ("no", "yes")
    assert tally.counts([]).values.tolist() == [[[1, 1], [0, 1]]]


def test_scores_by_class_predict_the_highest_and_the_first_of_equals() -> None:
    scores = {"b": [0.2, 0.5, 0.1], "a": [0.2, 0.1, 0.1], "c": [0.1, 0.1, 0.8]}
    tally = tally_arrays(["a", "b", "b"], score=scores, bins=2)
    assert tally.schema.score_classes == ("a", "b", "c")
    assert tally.counts([]).values[0].tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("truth", "said"),
    [(["a", "b", "yes"], "holds 'a', 'b', 'yes'"), (["yes"] * 3, "state both with --classes")],
)
def test_a_score_alone_needs_two_classes(truth: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tally_arrays(truth, score=[0.1, 0.2, 0.9], positive="yes")


def test_a_third_label_beside_a_positive_class_is_named_with_its_place() -> None:
    truth, predicted = ["no", "yes", "no", "no"], ["no", "yes", "Yes", "no"]
    for positive in ("yes", None):
        with pytest.raises(
            InputError, match=r"there are 3 labels.*'Yes' \(.*row 3, column 'y_pred'\)"
        ):
            tally_arrays(truth, predicted, positive=positive)
    stated = tally_arrays(truth, predicted, positive="yes", classes=("no", "yes", "Yes"))
    assert stated.schema.classes == ("Yes", "no", "yes")


def test_of_many_odd_labels_a_few_are_named() -> None:
    truth = ["no"] * 9 + ["yes", *"abcdefg"]
    with pytest.raises(InputError, match=r"'f' \(.*\), 3 more\. Correct"):
        tally_arrays(truth, truth, positive="yes")


def test_a_positive_class_that_is_misspelt_is_noticed() -> None:
    with pytest.raises(InputError, match="'Yes' does not occur among 'no', 'yes'"):
        tally_arrays(["no", "yes"], ["no", "no"], positive="Yes")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "column of predictions, of scores"),
        ({"score": "s"}, "needs --positive"),
        ({"score": "s", "positive": 1, "classes": (0, 1, 2)}, "3 are stated"),
        ({"score": {"a": "s"}, "classes": ("a", "b")}, "a, b are stated, a have a column"),
        ({"score": {"a": "s"}, "positive": "b"}, "positive 'b' is not among the classes: a"),
        ({"prediction": "p", "positive": 3, "classes": (0, 1)}, "positive '3' is not among"),
        ({"prediction": "p", "positive": "nan"}, "stands for a missing value"),
        ({"prediction": "p", "cuts": {"age": (1,)}}, "'age', which is not a sensitive"),
        ({"prediction": "p", "sensitive": ("g",), "cuts": {"g": (2, 1)}}, "numbers that increase"),
        ({"prediction": "p", "sensitive": ("g", "g")}, "must differ"),
        ({"prediction": "p", "missing": "skip"}, "expected 'group' or 'drop' or 'error'"),
        ({"prediction": "p", "task": "regression", "weight": "w"}, "without weights"),
        ({"prediction": "p", "task": "regression", "positive": 1}, "no positive class"),
        ({"score": "s", "task": "regression"}, "regression has no score"),
        ({"prediction": "p", "bins": 0}, "at least 1 bin"),
    ],
)
def test_settings_that_contradict_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ReadSettings("y", **given)


def test_many_numbers_need_cut_points() -> None:
    ages = np.arange(20, 60)
    table = {"y": ages % 2, "p": ages % 2, "age": ages}
    with pytest.raises(InputError, match="'age' holds 40 different numbers: give cut points"):
        tally_frame(table, ReadSettings("y", "p", sensitive=("age",)))
    as_they_are = ReadSettings("y", "p", sensitive=("age",), cuts={"age": ()})
    assert len(tally_frame(table, as_they_are).schema.axes[0].levels) == 40
    cut = tally_frame(table, ReadSettings("y", "p", sensitive=("age",), cuts={"age": (25, 90)}))
    assert cut.schema.axes[0].levels == ("< 25", "25 to < 90", ">= 90")
    assert cut.counts(["age"]).values.sum(axis=(1, 2)).tolist() == [5, 35]


def test_cut_points_can_be_found_at_quantiles(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    income = rng.lognormal(10, 1, 5000)
    table = pd.DataFrame({"y": 1, "p": 1, "income": income, "sex": rng.integers(0, 2, 5000)})
    how = ReadSettings("y", "p", sensitive=("income", "sex"), auto_cuts=True)
    reading = read_frame(table, how)
    (cuts,) = reading.settings.cuts.values()
    assert [int((income < cut).sum()) for cut in cuts] == [1250, 2500, 3750]
    shown = ", ".join(f"{cut!r}".removesuffix(".0") for cut in cuts)
    assert reading.notes == (
        f"income was cut at {shown} into groups of 25.0, 25.0, 25.0, 25.0 % of its rows "
        "(asked: 4 equal ones)",
    )
    assert reading.tally.schema.axes[1].levels == ("0", "1")
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "a.csv", index=False)
    assert read_files([tmp_path], how).settings.cuts["income"] == cuts


def test_identifiers_are_no_groups() -> None:
    names = [f"patient {i}" for i in range(10_001)]
    with pytest.raises(InputError, match="'group': has more than 10000 different values"):
        tally_arrays(np.ones(10_001), np.ones(10_001), names)


def test_columns_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match="differ in length: {'y_true': 2, 'y_pred': 1}"):
        tally_arrays([1, 0], [1])
    with pytest.raises(InputError, match=r"'y_pred': expected one value per row, got an array"):
        tally_arrays([1, 0], np.zeros((2, 2)))
    with pytest.raises(InputError, match="'y_pred' has the name of another argument"):
        tally_arrays([1], [1], {"y_pred": [1]})
