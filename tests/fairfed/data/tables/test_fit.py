"""What clients say of their columns, what becomes of it, and the inputs that follow."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairfed.config import Config, TableConfig
from fairfed.data.tables.encode import encode, input_names
from fairfed.data.tables.fit import fitted_fields, from_records, mean_and_deviation, to_records
from fairfed.data.tables.summary import Summary, round_up, summary_of, unknown
from semantic.errors import InputError

FRAME = pd.DataFrame(
    {
        "age": [20.0, 30.0, np.nan, 50.0, 100.0, -3.0],
        "town": pd.Categorical(["a", "b", "a", "b", None, "rare"]),
    }
)


def schema(**settings: object) -> TableConfig:
    named = {"numeric": ["age"], "categorical": ["town"], "min_count": 2}
    return TableConfig.model_validate(named | settings)


def fitted(own: TableConfig, *frames: pd.DataFrame) -> TableConfig:
    merged = functools.reduce(operator.add, (summary_of(own, frame) for frame in frames))
    return own.model_copy(update=fitted_fields(own, merged))


def test_a_client_says_only_what_the_schema_lacks() -> None:
    assert not unknown(schema(moments={"age": [0, 1]}, categories={"town": ["a"]}))
    assert summary_of(schema(scale="none", categories={"town": []}), FRAME) == Summary()
    said = summary_of(schema(), FRAME)
    assert said.moments == {"age": (5.0, 197.0, 400 + 900 + 2500 + 10000 + 9)}
    assert said.categories == {"town": {"a", "b"}}
    assert not said.ranges


@given(st.integers(2, 9), st.lists(st.floats(-1e6, 1e6), min_size=0, max_size=12))
def test_fewer_rows_than_the_least_count_stay_unsaid(least: int, values: list[float]) -> None:
    towns = pd.Categorical([str(i) for i in range(len(values))])
    frame = pd.DataFrame({"age": np.array(values, float), "town": towns})
    for scale in ("standard", "minmax"):
        said = summary_of(schema(scale=scale, min_count=least), frame)
        assert said.categories == {"town": frozenset()}
        spoken = said.moments if scale == "standard" else said.ranges
        assert ("age" in spoken) == (len(values) >= least)
        if scale == "minmax" and "age" in spoken:
            low, high = spoken["age"]
            for end in (low, high):
                assert end == 0 or np.log2(abs(end)).is_integer()
            assert (np.array(values) >= low).sum() >= len(values) - least + 1
            assert (np.array(values) <= high).sum() >= len(values) - least + 1


def test_ends_are_rounded_outwards_to_powers_of_two() -> None:
    assert [round_up(v) for v in (0, 1, 3, 0.3, -3, -0.3, -4)] == [0, 1, 4, 0.5, -2, -0.25, -4]
    said = summary_of(schema(scale="minmax"), FRAME)
    assert said.ranges == {"age": (16.0, 64.0)}  # second lowest is 20, second highest 50


@given(st.lists(st.integers(0, 3), min_size=20, max_size=40), st.integers(0, 2**31))
def test_moments_of_the_clients_are_those_of_all_rows(owners: list[int], seed: int) -> None:
    values = np.random.default_rng(seed).normal(40, 12, len(owners))
    parts = [values[np.array(owners) == owner] for owner in range(4)]
    frames = [pd.DataFrame({"age": part}) for part in parts if len(part) >= 2]
    pooled = np.concatenate([part for part in parts if len(part) >= 2])
    mean, deviation = fitted(schema(categorical=[]), *frames).moments["age"]
    assert mean == pytest.approx(pooled.mean())
    assert deviation == pytest.approx(pooled.std())


def test_a_constant_column_has_no_deviation_whatever_the_rounding() -> None:
    values = np.full(1000, 0.1)
    sums = (1000.0, float(values.sum()), float((values**2).sum()))
    assert mean_and_deviation(sums)[1] == 0.0


def test_categories_are_what_any_client_has_often() -> None:
    other = FRAME.assign(town=pd.Categorical(["rare", "rare", "b", "c", "c", "10"]))
    assert fitted(schema(), FRAME, other).categories == {"town": ("a", "b", "c", "rare")}


def test_what_no_client_can_say_is_an_error_that_names_the_column() -> None:
    few = FRAME.iloc[:2]
    for scale, setting in (("standard", "moments"), ("minmax", "ranges")):
        with pytest.raises(InputError, match=f"table.{setting}: no client has 9 values of 'age'"):
            fitted(schema(scale=scale, min_count=9), few, few)


def test_records_give_a_summary_back() -> None:
    from flwr.app import RecordDict

    for scale in ("standard", "minmax", "none"):
        for least in (2, 5, 9):  # 9: nothing to say
            said = summary_of(schema(scale=scale, min_count=least), FRAME)
            assert from_records(RecordDict(to_records(said))) == said


def test_inputs_are_scaled_numbers_and_flags() -> None:
    own = schema(moments={"age": [40, 10]}, categories={"town": ["b", "a"]})
    assert input_names(own) == ("age", "town = b", "town = a")
    made = encode(own, FRAME)
    assert made.dtype == np.float32
    assert made[:, 0].tolist() == pytest.approx([-2, -1, 0, 1, 6, -4.3])
    assert made[:, 1:].tolist() == [[0, 1], [1, 0], [0, 1], [1, 0], [0, 0], [0, 0]]
    own = schema(scale="minmax", ranges={"age": [0, 50]}, categories={"town": []})
    assert encode(own, FRAME)[:, 0].tolist() == pytest.approx([0.4, 0.6, 0.5, 1, 1, 0])
    own = schema(scale="none", categories={"town": []})
    assert encode(own, FRAME)[:, 0].tolist() == [20, 30, 0, 50, 100, -3]
    own = schema(moments={"age": [20, 0]}, categories={"town": []})
    assert encode(own, FRAME)[:2, 0].tolist() == [0, 10]


def test_a_schema_that_is_not_fitted_encodes_nothing() -> None:
    with pytest.raises(ValueError, match="'age' is not fitted"):
        encode(schema(categories={"town": []}), FRAME)
    with pytest.raises(ValueError, match="'town' are not fitted"):
        input_names(schema())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('numeric=["a"]\ncategorical=["a"]', "column 'a' is both numeric and categorical"),
        ("test=0.5\nvalidation=0.5", "leave nothing to train on"),
        ('validation=0.0\nmeasure="validation"', "measure is 'validation' but validation is 0"),
        ("ranges={a=[2, 2]}", "ranges.a: 2.0 is not below 2.0"),
    ],
)
def test_a_contradictory_schema_is_refused(setting: str, message: str) -> None:
    from fairfed.config import parse_config

    with pytest.raises(InputError, match=message):
        parse_config(f'model="mlp"\n[data]\nsource="x.csv"\n[data.table]\n{setting}', "x.toml")


def test_presets_fill_what_is_left_open_and_survive_writing(tmp_path: object) -> None:
    from fairfed.config import parse_config

    text = 'model="mlp"\n[data]\nsource="compas"\ntable.scale="minmax"\ntable.categorical=["race"]'
    config = parse_config(text, "x")
    assert config.data.label == "two_year_recid"
    assert config.data.table.groups == {"race": ("Caucasian",)}
    assert config.data.table.scale == "minmax"
    assert config.data.table.categorical == ("race",)
    assert parse_config(config.to_toml(), "y") == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('model="mlp"', "'mlp' does not suit data.source 'bundled', which is images"),
        ('data.source="a.csv"', "'cnn-bn' does not suit data.source 'a.csv', which is a table"),
        (
            'model="mlp"\ndata.source="a.csv"\n[[arms]]\nname="A"\naugment=true',
            "arms: 'A' asks for synthetic images, but data.source 'a.csv' is a table",
        ),
        (
            'model="mlp"\n[data]\nsource="a.csv"\nclasses=["a"]\ntable.positive="a"',
            "classes and table.positive both say",
        ),
    ],
)
def test_what_tables_cannot_do_is_refused(text: str, message: str) -> None:
    from fairfed.config import parse_config

    with pytest.raises(InputError, match=message):
        parse_config(text, "x.toml")


def test_fit_resolves_the_columns_that_were_read(tabular: Callable[..., Config]) -> None:
    from fairfed.data.tables.fit import named_columns
    from fairfed.data.tables.table import load_table

    config = tabular()
    named = named_columns(config, load_table(config)).data.table
    assert named.numeric == ("age", "income")
    assert named.categorical == ("town", "sex", "race")
