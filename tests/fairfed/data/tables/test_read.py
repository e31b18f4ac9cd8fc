"""Tables from files, from a program's DataFrame, and from OpenML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairfed.config import DataConfig
from fairfed.config.presets import PRESETS
from fairfed.data.tables.read import ADULT_COLUMNS, read_csv, read_table, register_frame
from semantic.errors import InputError

ADULT_ROW = (
    "39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, {}, "
    "2174, 0, 40, United-States, {}\n"
)


def test_csv_parquet_and_frame_give_the_same_texts(
    people: pd.DataFrame, people_csv: Path, tmp_path: Path
) -> None:
    people.to_parquet(tmp_path / "people.parquet")
    register_frame("people", people)
    sources = (str(people_csv), f"{tmp_path}/people.parquet", "frame:people")
    for source in sources:
        assert read_table(DataConfig(source=source))[0].equals(people.astype(str)), source


def test_values_of_a_frame_become_texts_and_absent_ones_blank() -> None:
    given = {"n": [1, 2], "x": [0.5, None], "s": [None, "a "], "f": np.array([0.7, 0.1], "f4")}
    register_frame("typed", pd.DataFrame(given))
    frame, _ = read_table(DataConfig(source="frame:typed"))
    assert frame.to_dict("list") == {
        "n": ["1", "2"], "x": ["0.5", ""], "s": ["", "a"], "f": ["0.7", "0.1"],
    }  # fmt: skip


def test_a_registered_frame_is_not_replaced() -> None:
    frame = pd.DataFrame({"a": [1]})
    register_frame("once", frame)
    register_frame("once", frame)
    with pytest.raises(InputError, match="'once' is registered already"):
        register_frame("once", pd.DataFrame({"a": [2]}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "row 2 has 1 fields, expected 2"),
        ("a,b\n1,2,3\n", "row 1 has 3 fields, expected 2"),
        ("a,a\n1,2\n", "two columns are called 'a'"),
        ("a,b\n", "no rows below the heading"),
        ("", "no rows below the heading"),
        ('a\n"x"y\n', "not a CSV file"),
    ],
)
def test_a_damaged_file_is_described(write: Callable[..., Path], text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"own.csv: {message}"):
        read_csv(write(text))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "nowhere.csv"}, "nowhere.csv: no such file"),
        ({"source": "frame:unknown"}, "no DataFrame 'unknown'.*register_frame"),
        ({"source": "compas"}, "data.directory: missing; it names the folder of compas.csv"),
        ({"source": "law", "directory": "nowhere"}, "nowhere/law.csv: no such file"),
        ({"source": "adult", "directory": "nowhere"}, "nowhere/adult.data: no such file"),
    ],
)
def test_an_absent_source_is_named(settings: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_table(DataConfig.model_validate(settings))


def test_a_damaged_parquet_file_is_named(write: Callable[..., Path]) -> None:
    path = write("text", "own.parquet")
    with pytest.raises(InputError, match="own.parquet: not a readable parquet file"):
        read_table(DataConfig(source=str(path)))


def test_adults_files_make_one_table_with_a_split(write: Callable[..., Path]) -> None:
    training = write(ADULT_ROW.format("Male", "<=50K") + "\n", "adult.data")
    data = DataConfig(source="adult", directory=str(training.parent))
    assert "split" not in read_table(data)[0]
    write("|1x3 Cross validator\n" + ADULT_ROW.format("Female", ">50K."), "adult.test")
    frame, where = read_table(data)
    assert frame["income"].tolist() == ["<=50K", ">50K"]
    assert frame["split"].tolist() == ["train", "test"]
    assert frame["sex"].tolist() == ["Male", "Female"]
    assert where.endswith("adult.data and adult.test")


def test_adult_comes_from_openml_where_no_directory_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Bunch:
        frame = pd.DataFrame({"age": [39], "workclass": [None], "class": ["<=50K"]})

    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda **_: Bunch)
    frame, where = read_table(DataConfig(source="adult"))
    assert frame.to_dict("list") == {"age": ["39"], "workclass": [""], "income": ["<=50K"]}
    assert where == "Adult of OpenML"

    def offline(**_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", offline)
    with pytest.raises(InputError, match="no network.*adult.data.*data.directory"):
        read_table(DataConfig(source="adult"))


def test_presets_name_columns_that_there_are() -> None:
    table = PRESETS["adult"]["table"]
    assert {*table["numeric"], *table["categorical"], "income"} <= set(ADULT_COLUMNS)
    for preset in PRESETS.values():
        columns = (*preset["table"]["numeric"], *preset["table"]["categorical"])
        assert preset["label"] not in columns
        assert set(preset["sensitive"]) <= set(columns)
