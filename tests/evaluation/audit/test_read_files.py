"""Files: what is found, what is refused, and how a refusal reads."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from evaluation.audit.read import ReadSettings, read_files, tally_files
from evaluation.errors import InputError

SETTINGS = ReadSettings("y", "p", sensitive=("sex",))
GOOD = "y,p,sex\n1,1,f\n0,1,m\n"


def csv_file(folder: Path, text: str | bytes = GOOD, name: str = "a.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refused(path: Any, settings: ReadSettings = SETTINGS) -> str:
    with pytest.raises(InputError) as error:
        tally_files([path], settings)
    return str(error.value)


def test_globs_directories_and_links_name_each_file_once(tmp_path: Path) -> None:
    first = csv_file(tmp_path, name="a/one.csv")
    csv_file(tmp_path, "y;p;sex\r\n0;0;f\r\n", "a/b/two.csv")
    csv_file(tmp_path, "not data", "a/_SUCCESS")
    (tmp_path / "link.csv").symlink_to(first)
    patterns = [tmp_path / "a", f"{tmp_path}/**/*.csv", tmp_path / "link.csv"]
    reading = read_files(patterns, SETTINGS)
    assert reading.tally.n == 3
    assert [Path(name).name for name in reading.source] == ["two.csv", "one.csv"]
    assert sum("counted once" in note for note in reading.notes) == 3
    assert not any("copy" in note for note in reading.notes)


def test_a_copy_is_counted_and_said(tmp_path: Path) -> None:
    paths = [csv_file(tmp_path), csv_file(tmp_path, name="b.csv")]
    reading = read_files(paths, SETTINGS)
    assert reading.tally.n == 4
    assert reading.notes == (
        f"{paths[1]} seems to be a copy of {paths[0]}: both are counted; leave one out if it is",
    )


def test_a_directory_of_several_kinds_is_ambiguous(tmp_path: Path) -> None:
    csv_file(tmp_path)
    pa.parquet.write_table(pa.table({"y": [1]}), tmp_path / "b.parquet")
    assert "several kinds (csv, parquet)" in refused(tmp_path)


@pytest.mark.parametrize("name", ["none.csv", "*.csv"])
def test_what_matches_nothing_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(name).startswith(f"{name}: no such file, directory or match")


def test_a_directory_without_tables_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("y")
    assert refused(tmp_path).startswith(f"{tmp_path}: this directory holds no file that ends in .c")


def test_a_table_that_is_there_gzipped_too_is_counted_once(tmp_path: Path) -> None:
    rows = "".join(f"{i % 2},{i % 3 % 2},{'fm'[i % 2]}\n" for i in range(20_000))
    whole = f"y,p,sex\n{rows}".encode()
    plain = csv_file(tmp_path, whole)
    zipped = csv_file(tmp_path, gzip.compress(whole[:50]) + gzip.compress(whole[50:]), "a.csv.gz")
    reading = read_files([tmp_path], SETTINGS)
    assert reading.tally.n == 20_000
    assert reading.notes == (f"{zipped} is {plain}, compressed or not, and counted once",)
    csv_file(tmp_path, gzip.compress(whole[:-2] + b"f\n"), "a.csv.gz")
    assert read_files([plain, zipped], SETTINGS).tally.n == 40_000


def test_a_copy_under_another_name_is_found_compressed_or_not(tmp_path: Path) -> None:
    csv_file(tmp_path)
    csv_file(tmp_path, gzip.compress(GOOD.encode()), "b.csv.gz")
    csv_file(tmp_path, gzip.compress(GOOD.replace("m", "x").encode()), "c.csv.gz")
    reading = read_files([tmp_path], SETTINGS)
    assert reading.tally.n == 6
    assert [note.split(": both")[0] for note in reading.notes] == [
        f"{tmp_path / 'b.csv.gz'} seems to be a copy of {tmp_path / 'a.csv'}"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "y,p,sex\r1,1,f\r0,1,m\r",
        'y;p;"age, in years, at visit, rounded";sex\n1;1;30;f\n0;1;40;m\n',
        'y,p,"(f; m; d; x; none)",sex\n1,1,?,f\n0,1,?,m\n',
        '"two\nlines; in; a; name"|y|p|sex\n?|1|1|f\n?|0|1|m\n',
        "y\tp\tsex\r\n1\t1\tf\r\n0\t1\tm\r\n",
        '\ufeffsex,y,"p, or: a; b; c; d; e",p\nf,1,?,1\nm,0,?,1\n',
    ],
)
def test_line_ends_and_what_parts_columns_are_recognised(text: str, tmp_path: Path) -> None:
    counts = tally_files([csv_file(tmp_path, text)], SETTINGS).counts(["sex"])
    assert counts.groups == ("f", "m")
    assert counts.values.tolist() == [[[0, 0], [0, 1]], [[0, 1], [0, 0]]]


def test_a_column_in_other_case_is_suggested(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "y,p,SEX\n1,1,f\n")
    assert "has no column 'sex' (did you mean 'SEX'?)" in refused(path)


MISSING = "y,p,sex\n1,1,NA\n0,1, na \n0,0,Null\n1,0,\n1,0,Inf\n1,1,f\n"


@pytest.mark.parametrize(
    ("texts", "groups", "noted"),
    [
        (None, ("f", "(missing)"), ("'Inf'", "'NA'", "'Null'", "'na'")),
        ((), ("Inf", "NA", "Null", "f", "na", "(missing)"), ()),
        (("NULL", "?"), ("Inf", "NA", "f", "na", "(missing)"), ("'Null'",)),
    ],
)
@pytest.mark.parametrize("form", ["csv", "parquet", "dictionary"])
def test_which_texts_are_missing_can_be_said_and_is_noted(
    form: str,
    texts: tuple[str, ...] | None,
    groups: tuple[str, ...],
    noted: tuple[str, ...],
    tmp_path: Path,
) -> None:
    path = csv_file(tmp_path, MISSING)
    if form != "csv":
        as_text = pa.csv.ConvertOptions(strings_can_be_null=False)
        table = pa.csv.read_csv(path, convert_options=as_text)
        if form == "dictionary":
            table = table.set_column(2, "sex", table["sex"].dictionary_encode())
        path = tmp_path / "a.parquet"
        pa.parquet.write_table(table, path)
    how = ReadSettings("y", "p", sensitive=("sex",), missing_values=texts)
    reading = read_files([path], how)
    assert reading.tally.schema.axes[0].levels == groups
    assert [note.split(";")[0] for note in reading.notes] == [
        f"1 row with {text} in 'sex' taken as missing" for text in noted
    ]


def test_texts_that_are_missing_are_so_in_every_column(tmp_path: Path) -> None:
    text = "y,p,s,sex,site,age\nNA,1,0.5,f,a,30\n0,1,?,m,a,40\n0,1,0.5,f,?,?\n0,1,0.5,?,NA,50\n"
    how = ReadSettings(
        "y", "p", "s", ("sex", "age"), "site", positive=1, cuts={"age": (45,)}, invalid="drop",
        missing_values=("?",), classes=(0, 1, "NA"),
    )  # fmt: skip
    tally = read_files([csv_file(tmp_path, text)], how).tally
    assert tally.n == 3
    assert tally.schema.clients == ("(missing)", "NA", "a")
    assert [axis.levels[-1] for axis in tally.schema.axes] == ["(missing)", "(missing)"]
    with pytest.raises(InputError, match="'na' stands for a missing value"):
        ReadSettings("y", "p", classes=("na", "b"))


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    assert "expected a file that ends in .csv" in refused(csv_file(tmp_path, name="a.xlsx"))


def test_a_missing_column_names_those_there_are(tmp_path: Path) -> None:
    message = refused(csv_file(tmp_path), ReadSettings("y", "p", sensitive=("sexx",)))
    assert message.endswith(
        "has no column 'sexx' (did you mean 'sex'?); its columns are: y, p, sex"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a.csv: is empty"),
        ("\n\n", "a.csv: cannot be read as csv"),
        ("y,p,sex\n", "every file is without rows"),
        ("y,p,sex\n1,1,f\n1,1\n", "a.csv: cannot be read as csv: CSV parse error: Row #3"),
        ("y,p,sex\n1,1,f\n1,,f\n", "a.csv row 2, column 'p': no value"),
        ("y,p,sex\n1,NaN,f\n1,,f\n", "a.csv row 1, column 'p': no value"),
        (b"y,p,sex\n1,1,f\n1,1,\xff\n", "a.csv row 2, column 'sex': is no UTF-8"),
        (b"\xff\xfey,p,sex\n1,1,f\n", "its column names are no UTF-8"),
        ("y,y,p,sex\n1,1,1,f\n", "multiple columns named y"),
    ],
)
def test_a_bad_csv_is_named_with_row_and_column(
    text: str | bytes, said: str, tmp_path: Path
) -> None:
    assert said in refused(csv_file(tmp_path, text))


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("s", "1.5", "row 2, column 's': score 1.5 is outside 0 to 1"),
        ("s", "-0.1", "score -0.1 is outside"),
        ("s", "high", "row 2, column 's': expected a number, got 'high'"),
        ("s", "inf", "row 2, column 's': no value"),
        ("w", "-1", "row 2, column 'w': expected a weight, finite and not negative, got -1"),
        ("w", "", "row 2, column 'w': expected a weight"),
        ("age", "old", "row 2, column 'age': expected a number, got 'old'"),
        ("y", "2", "row 2, column 'y': '2' is not among the classes: 0, 1"),
        ("sex", "", "row 2, column 'sex': no value; say with --missing"),
    ],
)
def test_a_wrong_value_is_named(column: str, cell: str, said: str, tmp_path: Path) -> None:
    good = {"y": "1", "p": "1", "s": "0.5", "w": "2", "age": "30", "sex": "f"}
    rows = [good, {**good, column: cell}]
    text = "\n".join([",".join(good), *(",".join(row.values()) for row in rows)])
    settings = ReadSettings(
        "y", "p", "s", ("sex", "age"), weight="w", positive=1, classes=(0, 1),
        cuts={"age": (25,)}, missing="error",
    )  # fmt: skip
    assert said in refused(csv_file(tmp_path, text), settings)


def test_rows_that_lack_a_value_can_be_left_out_and_are_counted(tmp_path: Path) -> None:
    text = "y,p,sex\n1,1,f\n,1,f\n1,nan,f\n,,m\n0,0,\n"
    settings = ReadSettings("y", "p", sensitive=("sex",), invalid="drop", missing="drop")
    reading = read_files([csv_file(tmp_path, text)], settings)
    assert reading.tally.n == 1
    assert reading.tally.schema.axes[0].levels == ("f",)
    assert reading.tally.schema.classes == ("1",)
    assert reading.notes == (
        "1 of 5 rows were left out: no value in 'p'",
        "1 of 5 rows were left out: no value in 'sex'",
        "2 of 5 rows were left out: no value in 'y'",
    )


def test_when_every_row_is_left_out_there_is_nothing_to_audit(tmp_path: Path) -> None:
    settings = ReadSettings("y", "p", invalid="drop")
    message = refused(csv_file(tmp_path, "y,p\n,1\n"), settings)
    assert "no row to audit" in message
    assert "no value in 'y'" in message


def test_missing_groups_come_last(tmp_path: Path) -> None:
    text = "y,p,sex\n1,1,f\n0,1,\n0,1,x\n0,0, NA \n"
    tally = tally_files([csv_file(tmp_path, text)], SETTINGS)
    assert tally.schema.axes[0].levels == ("f", "x", "(missing)")
    assert tally.counts(["sex"]).values.sum(axis=(1, 2)).tolist() == [1, 1, 2]


@pytest.mark.parametrize("kind", ["parquet", "feather"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.99])
def test_a_truncated_binary_file_is_named(kind: str, kept: float, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    table = pa.table({"y": np.arange(5000) % 2, "p": np.arange(5000) % 2, "sex": ["f"] * 5000})
    write = pa.parquet.write_table if kind == "parquet" else pa.feather.write_feather
    write(table, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    assert refused(path).startswith(f"{path}: ")


def test_a_column_of_lists_is_no_label(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pa.parquet.write_table(pa.table({"y": [[1], [2]], "p": [1, 2], "sex": ["f", "f"]}), path)
    message = refused(path)
    assert "a.parquet, column 'y': is of type list<" in message
    assert "expected text, numbers or booleans" in message


def test_quoted_line_breaks_compression_and_marks_of_order_are_read(tmp_path: Path) -> None:
    text = '\ufeffy,p,note,sex\n1,1,"two\nlines, and a comma",f\n0,0,,m\n'
    path = csv_file(tmp_path, gzip.compress(text.encode()), "a.csv.gz")
    assert tally_files([path], SETTINGS).counts(["sex"]).groups == ("f", "m")


def test_progress_names_the_file_and_the_rows_so_far(tmp_path: Path) -> None:
    paths = [csv_file(tmp_path), csv_file(tmp_path, "y,p,sex\n1,1,f\n", "b.csv")]
    seen: list[tuple[Path, int]] = []
    tally_files(paths, SETTINGS, lambda path, rows: seen.append((path, rows)))
    assert seen == [(paths[0], 2), (paths[1], 3)]
