"""One text for every label."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.audit.labels import class_text, group_text, is_number


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((1, 1.0, "1", "1.0", " 1.", b"1", np.int8(1), np.float32(1), Decimal("1.00")), "1"),
        ((0, -0.0, "-0", "0.000"), "0"),
        ((0.1, np.float32(0.1), "0.10", "0.1"), "0.1"),
        ((1e16, "1e+16", 10**16), "10000000000000000"),
        ((1e-5, "1e-05"), "1e-05"),
        ((True, "true", "TRUE", np.True_), "true"),
        (("+1", "+1.0", "1"), "1"),
        (("+0.50", 0.5), "0.5"),
        (("+-1",), "+-1"),
        (("007",), "007"),
        (("1E5",), "1E5"),
        (("Été ", "Été".encode()), "Été"),
        ((None, float("nan"), np.inf, "", " ", "NaN", "N/A", "null", "-inf"), None),
    ],
)
def test_what_is_the_same_has_the_same_text(values: tuple[object, ...], text: str | None) -> None:
    assert {group_text(value) for value in values} == {text}


def test_which_texts_are_missing_can_be_said() -> None:
    only = frozenset({"?"})
    assert [group_text(value, only) for value in ("NA", "?", " ", None, np.inf)] == [
        "NA", None, None, None, None,
    ]  # fmt: skip
    assert class_text("nan", frozenset()) == "nan"


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans()))
def test_the_text_of_a_text_is_itself(value: object) -> None:
    text = group_text(value)
    assert text is None or group_text(text) == text
    label = class_text(value)
    assert label is None or class_text(label) == label


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_number_reads_like_the_text_that_a_program_writes_of_it(value: float) -> None:
    assert group_text(str(value)) == group_text(value)
    assert is_number(str(group_text(value)))


def test_true_is_a_class_like_one() -> None:
    assert [class_text(value) for value in (True, "False", 1, "yes")] == ["1", "0", "1", "yes"]


def test_bytes_that_are_no_text_are_not_guessed() -> None:
    with pytest.raises(UnicodeDecodeError):
        group_text(b"\xff")
