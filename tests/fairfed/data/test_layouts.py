"""Folders and tables as people bring them: other layouts, columns, splits and encodings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairfed.data import ImageTable, load_images
from semantic.errors import InputError
from tests.fairfed.data.folders import configure, noise

Caplog = pytest.LogCaptureFixture
COLUMNS = ["file_name", "label", "sex"]
ROWS = [[f"{row}.png", "ab"[row % 2], "fm"[row // 2 % 2]] for row in range(12)]


def _images(folder: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(number)).save(folder / name)
    return folder


def _table(
    folder: Path, rows: list[list[str]] = ROWS, head: list[str] = COLUMNS, encoding: str = "utf-8"
) -> Path:
    text = "\n".join([",".join(head), *(",".join(row) for row in rows)])
    (folder / "metadata.csv").write_text(text, encoding=encoding)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return _images(tmp_path, [row[0] for row in ROWS])


def _load(folder: Path, *overrides: str) -> ImageTable:
    return load_images(configure(folder, *overrides))


def _same(one: ImageTable, other: ImageTable) -> bool:
    arrays = ("images", "labels", "groups", "test")
    return all(np.array_equal(getattr(one, a), getattr(other, a)) for a in arrays) and (
        (one.classes, one.group_names) == (other.classes, other.group_names)
    )


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "utf-16", "back slashes"])
def test_a_table_is_read_whatever_its_format(folder: Path, kind: str) -> None:
    expected = _load(_table(folder), 'data.sensitive = ["sex"]')
    if kind == "utf-16":
        _table(folder, encoding="utf-16")
    elif kind == "back slashes":
        (folder / "in").mkdir()
        for name, *_ in ROWS:
            (folder / name).rename(folder / "in" / name)
        _table(folder, [[f"in\\{name}", *rest] for name, *rest in ROWS])
    else:
        (folder / "metadata.csv").unlink()
        frame = pd.DataFrame(ROWS, columns=COLUMNS)
        if kind == "parquet":
            frame.to_parquet(folder / "metadata.parquet")
        else:
            lines = [json.dumps(row) for row in frame.to_dict("records")]
            (folder / "metadata.jsonl").write_text("\n".join(lines))
    assert _same(_load(folder, 'data.sensitive = ["sex"]'), expected)


@pytest.mark.parametrize("name", ["image", "filename", "path", "File Name", "image_path"])
def test_the_column_of_file_names_may_be_called_otherwise(folder: Path, name: str) -> None:
    expected = _load(_table(folder))
    assert _same(_load(_table(folder, head=[name, "label", "sex"])), expected)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("csv", "file_name,label\n0.png,Ründ".encode("latin-1"), "iconv -f LATIN1 -t UTF-8"),
        ("csv", b"file_name,Label\n0.png,a", "no column 'label'.*did you mean 'Label'"),
        ("csv", b"file_name,lable\n0.png,a", "did you mean 'lable'"),
        ("jsonl", b'{"file_name": "0.png"}\n{"file', "not a file of JSON lines"),
        ("jsonl", b"[1]", "row 1 is no object with named fields"),
        ("parquet", b"PAR1", "not a readable parquet file"),
        ("csv", b"file_name,label\nx.png,a\ny.png,a", "row 1 names 'x.png', row 2 names 'y.png'"),
    ],
)
def test_a_table_that_cannot_be_read_says_what_to_do(
    folder: Path, name: str, content: bytes, said: str
) -> None:
    (folder / f"metadata.{name}").write_bytes(content)
    with pytest.raises(InputError, match=said):
        _load(folder)


def test_two_tables_in_one_folder_are_refused(folder: Path) -> None:
    (_table(folder) / "metadata.jsonl").write_text("{}")
    with pytest.raises(InputError, match=r"has metadata\.csv and metadata\.jsonl; keep"):
        _load(folder)


def test_folders_are_classes(tmp_path: Path) -> None:
    _images(tmp_path, [f"{label}/{row}.png" for label in ("cat", "dog") for row in range(5)])
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    table = _load(tmp_path)
    assert table.classes == ("cat", "dog")
    assert table.labels.tolist() == [0] * 5 + [1] * 5
    assert table.cells(np.flatnonzero(table.test)).tolist() == [[1], [1]]
    assert np.array_equal(table.images[7, ..., 0], noise(7))


@pytest.mark.parametrize("word", ["test", "val", "Validation", "testing"])
def test_folders_divide_folders_of_classes(tmp_path: Path, word: str) -> None:
    parts = {"training": 3, word: 2}
    folders = [(f"{part}/{label}", n) for part, n in parts.items() for label in "ab"]
    _images(tmp_path, [f"{folder}/{row}.png" for folder, n in folders for row in range(n)])
    table = _load(tmp_path)
    assert table.classes == ("a", "b")
    assert table.test.tolist() == [False] * 6 + [True] * 4


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    _images(tmp_path, [f"{label}/{row}.png" for label in ("train", "tram") for row in range(5)])
    assert _load(tmp_path).classes == ("train", "tram")


def test_deeper_folders_are_refused(tmp_path: Path) -> None:
    _images(tmp_path, ["north/cat/0.png", "south/cat/1.png"])
    with pytest.raises(InputError, match=r"deeper than expected.*CLASS/x\.png"):
        _load(tmp_path)


@pytest.mark.parametrize("layout", ["column", "folders", "paths"])
def test_validation_images_are_said_and_used_as_asked(
    tmp_path: Path, caplog: Caplog, layout: str
) -> None:
    parts = ["train", "val", "test"]
    names = [f"{part}/{row}.png" for part in parts for row in range(4)]
    _images(tmp_path, names)
    if layout == "folders":
        for part in parts:
            _table(tmp_path / part, ROWS[:4])
    else:
        rows = [[name, "ab"[n % 2], "f", name.split("/")[0]] for n, name in enumerate(names)]
        by_column = layout == "column"
        _table(tmp_path, rows, [*COLUMNS, "split" if by_column else "other"])
    table = _load(tmp_path)
    assert table.test.tolist() == [False] * 4 + [True] * 4
    assert np.array_equal(table.images[4, ..., 0], noise(8))
    assert "4 of 12 rows are for validation; they are neither trained nor tested" in caplog.text
    for use, expected in (("train", [8, 4]), ("test", [4, 8])):
        table = _load(tmp_path, f'data.validation = "{use}"')
        assert [(~table.test).sum(), table.test.sum()] == expected
        assert f"they are {use}ed on" in caplog.text


def test_without_a_test_part_validation_images_test(folder: Path, caplog: Caplog) -> None:
    rows = [[*row, "train" if n < 8 else "dev"] for n, row in enumerate(ROWS)]
    table = _load(_table(folder, rows, [*COLUMNS, "split"]))
    assert table.test.tolist() == [False] * 8 + [True] * 4
    assert "4 of 12 rows are for validation; they are tested on" in caplog.text


def test_every_spelling_of_no_value_is_one_group(folder: Path) -> None:
    words = ["f", "", "nan", "NaN", "None", "NA", "n/a", " ", "null", "<NA>", "m", "NONE"]
    rows = [[name, label, word] for (name, label, _), word in zip(ROWS, words, strict=True)]
    asked = 'data.sensitive = ["sex"]'
    table = _load(_table(folder, rows), asked)
    assert table.group_names == ("f", "m", "missing")
    assert (table.groups == 2).sum() == 10
    kept = _load(folder, asked, 'data.missing = ["nan"]')
    others = {"None", "NONE", "NA", "n/a", "null", "<NA>"}
    assert set(kept.group_names) == {"f", "m", "missing"} | others


def test_a_label_without_value_is_refused_with_a_way_out(folder: Path) -> None:
    rows = [[name, "None" if label == "a" else label, sex] for name, label, sex in ROWS]
    with pytest.raises(InputError, match="label of row 1 is 'None', which data.missing takes"):
        _load(_table(folder, rows))
    assert _load(folder, "data.missing = []").classes == ("None", "b")


@pytest.mark.parametrize(("column", "what"), [(1, "the class, 'a × b'"), (2, "the value of sex")])
def test_a_name_that_reads_as_crossed_groups_is_refused(
    folder: Path, column: int, what: str
) -> None:
    rows = [row.copy() for row in ROWS]
    rows[3][column] = "a × b"
    with pytest.raises(InputError, match=f"{what}.*write it otherwise, as 'a x b'"):
        _load(_table(folder, rows), 'data.sensitive = ["sex"]')


def test_ages_need_cut_points(folder: Path) -> None:
    rows = [[name, label, str(20 + 5 * n)] for n, (name, label, _) in enumerate(ROWS)]
    rows[0][2] = ""
    _table(folder, rows, ["file_name", "label", "age"])
    asked = 'data.sensitive = ["age"]'
    with pytest.raises(InputError, match=r"'age' has 11 different numbers.*groups = \{ age = \["):
        _load(folder, asked)
    table = _load(folder, asked, "data.table.groups = { age = [40, 60] }")
    assert table.group_names == ("40 to < 60", "< 40", "missing", "≥ 60")
    assert np.bincount(table.groups).tolist() == [4, 3, 1, 4]
    named = _load(folder, asked, 'data.table.groups = { age = ["25", "30"] }')
    assert named.group_names == ("25", "30", "missing", "other")
    with pytest.raises(InputError, match="groups: 'years' is not one of data.sensitive"):
        _load(folder, asked, "data.table.groups = { years = [40, 60] }")
    rows[4][2] = "old"
    with pytest.raises(InputError, match="row 5 has age = 'old', expected a number"):
        _load(_table(folder, rows, ["file_name", "label", "age"]), asked,
              "data.table.groups = { age = [40, 60] }")  # fmt: skip


def test_too_few_rows_to_set_any_aside_say_so(folder: Path) -> None:
    rows = [[*row, f"site {n // 2}"] for n, row in enumerate(ROWS)]
    _table(folder, rows, [*COLUMNS, "site"])
    with pytest.raises(InputError, match="no class of a client has the 3 images.*'split'"):
        _load(folder, 'data.client = "site"')
    assert _load(folder).test.sum() == 2


def test_names_that_differ_in_case_alone_are_said(folder: Path, caplog: Caplog) -> None:
    rows = [[row[0], row[1].upper() if n < 6 else row[1], row[2]] for n, row in enumerate(ROWS)]
    rows[0][2] = "F"
    table = _load(_table(folder, rows), 'data.sensitive = ["sex"]')
    assert table.classes == ("A", "B", "a", "b")
    assert "the classes 'A' and 'a' differ in case alone, and count as two" in caplog.text
    assert "sex: the values 'F' and 'f' differ in case alone" in caplog.text
