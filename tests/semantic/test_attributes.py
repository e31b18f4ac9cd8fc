"""The class × attribute table: the bundled one, a user's own, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semantic.attributes import (
    AttributeTable,
    load_attributes,
    table_from_names,
    write_table,
)
from semantic.errors import InputError


def _table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


def test_bundled_table_knows_every_class_and_its_typical_attributes() -> None:
    table = load_attributes()
    assert len(table.classes) == 10
    assert table.noun("Ankle boot") == "ankle boot"
    assert "covers the ankle" in table.phrases("Ankle boot")
    assert "covers the ankle" not in table.phrases("Sneaker")


def test_users_table(tmp_path: Path) -> None:
    table = load_attributes(_table(tmp_path, "class,prompt,furry\ncat,,1\ndog,hound,0.2\n"))
    assert table.prompts == ("cat", "hound")
    assert table.phrases("cat") == ("furry",)
    assert table.phrases("dog") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,prompt\ncat,cat\n", "must begin with 'class,prompt'"),
        ("class,prompt,furry\n", "no class below the header"),
        ("class,prompt,furry\ncat,cat,2\n", "line 2, column 'furry': '2'"),
        ("class,prompt,furry\ncat,cat,much\n", "line 2, column 'furry': 'much'"),
        ("class,prompt,furry\ncat,cat\n", "line 2: 2 fields, the header has 3"),
        ("class,prompt\ncat,cat\ncat,cat\n", "class 'cat' is there more than once"),
        ("class,prompt,furry,furry\ncat,cat,1,0\n", "attribute 'furry' is there more than once"),
        ("class,prompt,\ncat,cat,1\n", "attribute 1 has no name"),
        ("class,prompt\n,cat\n", "class 1 has no name"),
        ("", "must begin with"),
    ],
)
def test_malformed_table_names_the_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_attributes(_table(tmp_path, text))


def test_missing_file_and_unknown_class() -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_attributes("nowhere.csv")
    with pytest.raises(InputError, match="class 'car' is in no row"):
        load_attributes().noun("car")


def test_table_from_names_has_nouns_only() -> None:
    table = table_from_names(("Golden_Retriever",))
    assert table.noun("Golden_Retriever") == "golden retriever"
    assert table.phrases("Golden_Retriever") == ()


def test_written_table_reads_back_the_same_to_the_last_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((2, 3))
    names = ('striped, "loud"', "é", "plain")
    table = AttributeTable(("T-shirt/top", "Ankle, boot"), ("shirt", "boot"), names, values)
    path = tmp_path / "table.csv"
    write_table(table, path)
    back = load_attributes(path)
    assert (back.classes, back.prompts, back.attributes) == (
        table.classes, table.prompts, table.attributes
    )  # fmt: skip
    assert np.array_equal(back.values, values)
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_csv_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"class,prompt\n\xff\xfe,\n")
    with pytest.raises(InputError, match="table.csv is no CSV text in UTF-8"):
        load_attributes(path)


def test_rows_of_some_classes_keep_their_nouns_and_values() -> None:
    table = load_attributes()
    first, last = table.classes[0], table.classes[-1]
    found = table.of((last, first))
    assert found.classes == (last, first)
    assert found.prompts == (table.noun(last), table.noun(first))
    assert found.phrases(last) == table.phrases(last)
    assert found.values.tolist() == [table.values[-1].tolist(), table.values[0].tolist()]
    with pytest.raises(InputError, match="'nothing' is in no row"):
        table.of(("nothing",))
