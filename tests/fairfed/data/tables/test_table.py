"""From columns to labels, groups, parts and features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from fairfed.config import Config, parse_config
from fairfed.data import load_images
from fairfed.data.tables.federation import load_rows
from fairfed.data.tables.table import FeatureTable, load_table
from semantic.errors import InputError

Load = Callable[..., FeatureTable]


def test_the_positive_class_is_the_last(load: Load, people: pd.DataFrame) -> None:
    table = load()
    assert table.classes == ("no", "yes")
    assert (table.labels == (people["loan"] == "yes")).all()
    assert load("data.table.positive=no").classes == ("yes", "no")


def test_of_more_than_two_labels_one_is_against_the_rest(load: Load, people: pd.DataFrame) -> None:
    changed = "data.label=race", "data.table.positive=x"
    table = load(*changed)
    assert table.classes == ("not x", "x")
    assert (table.labels == (people["race"] == "x")).all()


def test_without_a_positive_value_every_value_is_a_class(
    write: Callable[..., Path],
) -> None:
    path = write("a,y\n" + "".join(f"{i},{i % 3}\n" for i in range(30)))
    text = f'model="mlp"\n[data]\nsource="{path}"\nlabel="y"\nsensitive=[]'
    table = load_table(parse_config(text, "x"))
    assert table.classes == ("0", "1", "2")
    assert table.group_names == ("all",)


def test_groups_are_values_or_other_or_stretches(load: Load, people: pd.DataFrame) -> None:
    table = load('data.sensitive=["race"]', 'data.table.groups={race=["x"]}')
    assert table.group_names == ("other", "x")
    assert (table.groups == (people["race"] == "x")).all()
    assert set(table.features["race"]) == {"x", "other"}
    table = load('data.sensitive=["age"]', "data.table.groups={age=[25, 45]}")
    assert table.group_names == ("25 to < 45", "< 25", "missing", "≥ 45")
    named = np.array(table.group_names)[table.groups]
    for age, group in zip(people["age"], named, strict=True):
        expected = "missing" if age == "?" else "< 25" if int(age) < 25 else None
        expected = expected or ("≥ 45" if int(age) >= 45 else "25 to < 45")
        assert group == expected
    table = load('data.sensitive=["age"]', "data.table.groups={age=[44.1234567]}")
    assert table.group_names == ("< 44.1234567", "missing", "≥ 44.1234567")


def test_columns_without_a_schema_are_inferred(load: Load) -> None:
    features = load().features
    assert list(features) == ["age", "income", "town", "sex", "race"]
    assert [kind.kind for kind in features.dtypes] == ["f", "f", "O", "O", "O"]
    assert features["age"].isna().any()


def test_named_columns_are_the_only_inputs(load: Load) -> None:
    assert list(load('data.table.numeric=["income"]').features) == ["income"]
    dropped = load('data.table.drop=["sex", "race", "town"]')
    assert list(dropped.features) == ["age", "income"]
    assert dropped.group_names == ("f", "m")


def test_parts_are_those_of_fair_fate(load: Load, people: pd.DataFrame) -> None:
    rows = np.arange(len(people))
    training, rest = train_test_split(rows, test_size=0.4, random_state=10)
    test, validation = train_test_split(rest, test_size=0.5, random_state=10)
    table = load("data.table.split_seed=10")
    assert set(np.flatnonzero(~table.test)) == set(training)
    assert set(np.flatnonzero(table.measured)) == set(test)
    other = load("data.table.split_seed=10", "data.table.measure=validation")
    assert set(np.flatnonzero(other.measured)) == set(validation)
    assert (other.test == table.test).all()


def test_the_datas_own_split_is_kept(tabular: Callable[..., Config], people: pd.DataFrame) -> None:
    from fairfed.data.tables.table import table_from

    data = tabular("data.table.validation=0").data
    split = np.arange(len(people)) % 4 == 0
    frame = people.assign(split=np.where(split, "test", "train"))
    table = table_from(frame, data, 0, "x")
    assert (table.measured == split).all()
    assert (table.test == split).all()
    data = tabular("data.table.measure=validation").data
    table = table_from(frame, data, 0, "x")
    assert not (table.measured & split).any()
    assert table.measured.sum() == 36
    assert ((table.test & ~split) == table.measured).all()


def test_validation_rows_of_the_datas_own_are_kept(
    tabular: Callable[..., Config], people: pd.DataFrame
) -> None:
    from fairfed.data.tables.table import table_from

    words = np.array(["training", "Val", "test", "train"])[np.arange(len(people)) % 4]
    data = tabular("data.table.measure=validation").data
    table = table_from(people.assign(split=words), data, 0, "x")
    assert (table.measured == (words == "Val")).all()
    assert (~table.test == np.isin(words, ["training", "train"])).all()


def test_training_rows_do_not_depend_on_what_is_measured(tabular: Callable[..., Config]) -> None:
    test, validation = (
        load_rows(tabular(f"data.table.measure={m}")) for m in ("test", "validation")
    )
    for one, other in zip(test.train, validation.train, strict=True):
        assert np.array_equal(one, other)
    held = [set(np.concatenate(part.test).tolist()) for part in (test, validation)]
    assert not held[0] & held[1]
    assert len(held[0]) == len(held[1]) == 48


@pytest.mark.parametrize("by", ["cell", "group"])
def test_dirichlet_divides_by_cell_and_by_group(tabular: Callable[..., Config], by: str) -> None:
    options = f'{{alpha=0.3, partition_by="{by}"}}'
    data = load_rows(tabular("partition.name=dirichlet", f"partition.options={options}",
                             "partition.clients=3"))  # fmt: skip
    shares = data.train_cells() / data.train_cells().sum((1, 2), keepdims=True)
    assert data.train_cells().sum() == (~data.table.test).sum()
    assert np.ptp(shares.sum(1), axis=0).max() > 0.1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.label=lone", "no column 'lone', which data.label names; there are: age, income"),
        ('data.sensitive=["tint"]', "no column 'tint'.*data.sensitive = \\[\\]"),
        (
            "data.table.positive=maybe",
            "nowhere 'maybe' in .*people.csv; there are: no, yes",
        ),
        (
            'data.table.numeric=["incom"]',
            "numeric: .* no column 'incom'; did you mean 'income'",
        ),
        ('data.table.drop=["zzz"]', "data.table.drop: .* no column 'zzz'; it has age"),
        ('data.table.numeric=["town"]', "row 1 has town = '[AB]', expected a number; correct it"),
        (
            'data.table.groups={race=["x"]}',
            "groups: 'race' is not one of data.sensitive",
        ),
        ('data.table.groups={sex=["q"]}', "'sex' is nowhere 'q' in .*; there are: f, m"),
        ('data.sensitive=["age"]', "'age' has .* different numbers.*give cut points"),
        ("data.table.missing=[]", "row .* has age = '\\?', expected a number"),
    ],
)
def test_an_error_names_file_row_and_column(load: Load, override: str, message: str) -> None:
    extra = ('data.table.numeric=["age"]',) if "missing" in override else ()
    with pytest.raises(InputError, match=message):
        load(override, *extra)


def test_what_needs_images_refuses_a_table(tabular: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match="people.csv' is a table; images are needed here"):
        load_images(tabular())


def test_a_label_that_is_blank_or_always_the_same_is_an_error(write: Callable[..., Path]) -> None:
    for text, message in (
        ("a,y\n1,u\n2,\n", "row 2 is blank; fill column 'y'"),
        ("a,y\n1,u\n2,u\n", "y is 'u' in every row"),
        ("y\nu\nv\n", "no input column is left"),
    ):
        source = f'model="mlp"\n[data]\nsource="{write(text)}"\nlabel="y"\nsensitive=[]'
        with pytest.raises(InputError, match=message):
            load_rows(parse_config(source, "x"))
