"""A first look understands layouts and columns, and asks for what it cannot know."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fairfed.sites.first_toml import first_toml, questions
from fairfed.sites.looking import Column, Look, look_at
from tests.fairfed.data.folders import noise


def table(folder: Path, heading: str, rows: list[str]) -> str:
    folder.mkdir(parents=True)
    for number in range(len(rows)):
        Image.fromarray(noise(number)).save(folder / f"{number}.png")
    lines = [f"file_name,{heading}", *(f"{n}.png,{row}" for n, row in enumerate(rows))]
    (folder / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    return str(folder)


def names(columns: tuple[Column, ...]) -> list[str]:
    return [column.name for column in columns]


def test_the_label_is_known_by_its_name_and_ids_are_none(tmp_path: Path) -> None:
    rows = [f"p{n},{'MEL' if n % 2 else 'NV'},{'w' if n % 3 else ''},{20 + n}" for n in range(24)]
    look = look_at(table(tmp_path / "a", "patient,Diagnose,Geschlecht,age", rows))
    assert look.label is not None
    assert (look.label.name, look.label.values) == ("Diagnose", {"NV": 12, "MEL": 12})
    assert names(look.sensitive) == ["Geschlecht", "age"]
    assert look.sensitive[0].blank == 8
    assert look.sensitive[1].cuts == (27.6, 35.4)
    assert names(look.columns) == ["Diagnose", "Geschlecht", "age"]
    assert (look.rows, look.unit, look.split) == (24, "images", None)
    assert any("a seeded fifth" in question for question in questions(look))


def test_where_several_columns_could_be_the_label_it_is_asked_for(tmp_path: Path) -> None:
    rows = [f"{n % 3},{n % 2},{'test' if n > 7 else 'train'}" for n in range(12)]
    look = look_at(table(tmp_path / "a", "code,farbe,teil", rows))
    assert look.label is None
    assert look.split == "teil"
    assert questions(look)[0] == "data.label: which column is the label? code, farbe"
    text = first_toml(look, "a", "a")
    assert 'label = "?"  # TO TELL: which column? code, farbe' in text
    assert tomllib.loads(text)["data"]["split"] == "teil"


def test_class_folders_and_unreadable_files(tmp_path: Path) -> None:
    for n in range(6):
        path = tmp_path / "b" / "train" / "AB"[n % 2] / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(n)).save(path)
    path.write_bytes(b"none")
    look = look_at(str(tmp_path / "b"))
    assert look.layout == "a folder for each class"
    assert look.label is not None
    assert look.label.values == {"A": 3, "B": 3}
    assert "1 of 6 images cannot be read" in look.unreadable
    assert not look.sensitive


def test_a_table_of_rows(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    rows = [f"{n}.5,{'yes' if n % 2 else 'no'},{'mf'[n % 2]}" for n in range(30)]
    path.write_text("\n".join(["income,outcome,sex", *rows]), encoding="utf-8")
    look = look_at(str(path))
    assert (look.unit, look.layout, look.rows) == ("rows", "a table (csv)", 30)
    assert look.label is not None
    assert look.label.name == "outcome"
    assert names(look.sensitive) == ["sex"]


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@given(text, st.dictionaries(text, st.integers(1, 9), min_size=1, max_size=4))
def test_whatever_names_there_are_the_file_is_toml_and_stays_so_when_told(
    name: str, values: dict[str, int]
) -> None:
    column = Column(name, values, 0)
    look = Look(name, "x", name, "images", 9, (column,), column, (column,), (column,), None, False)
    written = first_toml(look, "north", name)
    assert tomllib.loads(written)["data"]["source"] == name
    settings = ("# labels.", "# groups.", "# sensitive")
    told = [
        line.removeprefix("# ") if line.startswith(settings) else line
        for line in written.split("\n")
    ]
    data = tomllib.loads("\n".join(told))["data"]
    assert data["labels"] == {value: value for value in values}
    assert data["sensitive"] == {name: name}
    assert data["groups"] == {name: {value: value for value in values}}


def test_nothing_to_read_is_one_message(tmp_path: Path) -> None:
    from semantic.errors import InputError

    with pytest.raises(InputError, match="no directory"):
        look_at(str(tmp_path / "nowhere"))
