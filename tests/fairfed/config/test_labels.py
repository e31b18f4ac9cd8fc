"""The label space: positions are decided once, by names alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fairfed.config.labels import LabelSpace, found_space
from fairfed.data.table import encode_groups

SPACE = LabelSpace(
    classes=("nevus", "melanoma"),
    sensitive={"sex": ("female", "male"), "skin": ("light", "dark")},
)


def test_groups_are_the_crossings_in_the_declared_order_with_missing_last() -> None:
    assert SPACE.groups == (
        "female × light", "female × dark", "female × missing",
        "male × light", "male × dark", "male × missing",
        "missing × light", "missing × dark", "missing × missing",
    )  # fmt: skip


def test_a_space_without_sensitive_columns_has_one_group() -> None:
    assert LabelSpace(classes=("a", "b")).groups == ("all",)
    assert LabelSpace(classes=("a", "b")).group({"sex": "female"}) == "all"


def test_an_absent_value_or_column_is_missing() -> None:
    assert SPACE.group({"sex": "male", "skin": None}) == "male × missing"
    assert SPACE.group({"skin": "dark"}) == "missing × dark"


def test_the_space_that_is_found_keeps_its_groups() -> None:
    groups = ("all",)
    assert found_space(["b", "a"], groups, []).groups == groups
    found = found_space(["b"], ["day × left", "missing × left"], ["light", "side"], image_size=8)
    assert found.groups == ("day × left", "missing × left")
    assert found.sensitive == {"light": ("day",), "side": ("left",)}
    assert found_space(["b"], ["missing"], ["light"]).groups == ("missing",)


values = st.sampled_from(["x", "y", "10", "9", None])


@given(st.lists(st.tuples(values, values), min_size=1, max_size=20))
def test_a_space_is_found_again_from_any_table_and_its_own_dump(
    rows: list[tuple[str | None, str | None]],
) -> None:
    columns = dict(zip("ab", map(list, zip(*rows, strict=True)), strict=True))
    names, _ = encode_groups(columns, len(rows))
    found = found_space(["c"], names, list(columns))
    assert found.groups == names
    assert LabelSpace.model_validate(found.model_dump(mode="json")) == found
    assert {found.group({"a": a, "b": b}) for a, b in rows} == set(names)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"classes": ("a", "a")}, "'a' is there twice"),
        ({"classes": ("a × b",)}, "write it otherwise, as 'a x b'"),
        ({"classes": ()}, "at least 1"),
        ({"classes": ("a",), "sensitive": {"sex": ()}}, "sensitive.sex: no values"),
        ({"classes": ("a",), "sensitive": {"sex": ("missing",)}}, "there always; leave it out"),
        ({"classes": ("a",), "sensitive": {"sex": ("f × g",)}}, "sensitive.sex: the value"),
        ({"classes": ("a",), "found_groups": ("x",)}, "'x' is no crossing"),
    ],
)
def test_names_that_would_be_ambiguous_are_refused(settings: dict, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        LabelSpace(**settings)
