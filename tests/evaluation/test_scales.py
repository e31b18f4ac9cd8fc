"""Numbers of any size on axes and in tables."""

import pytest

from evaluation.numbers import amount, number
from evaluation.report.scales import nice_scale


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.000398, "0.000398"),
        (-0.0123, "-0.0123"),
        (0.5, "0.500"),
        (12.75, "12.8"),
        (123.4, "123"),
        (1234.5, "1\N{NARROW NO-BREAK SPACE}234"),
        (4.8e-7, "4.80e-07"),
        (3e12, "3.00e+12"),
    ],
)
def test_numbers_keep_three_digits_at_any_size(value: float, text: str) -> None:
    assert number(value) == text


def test_a_negative_number_has_a_minus_sign() -> None:
    assert amount(-2.5e-9, "number") == "\N{MINUS SIGN}2.50e\N{MINUS SIGN}09"


@pytest.mark.parametrize("size", [1e-200, 1e-13, 1e-3, 1.0, 1e12])
def test_an_axis_is_the_same_at_any_size(size: float) -> None:
    scale = nice_scale([0.4 * size, 2.3 * size], "number", zero=True)
    assert [tick / size for tick in scale.ticks] == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5])
    assert len({scale.label(tick) for tick in scale.ticks}) == len(scale.ticks)


@pytest.mark.parametrize("value", [3e-13, 3.0, 3e12])
def test_an_axis_of_one_number_has_it_in_the_middle(value: float) -> None:
    scale = nice_scale([value], "number")
    assert scale.low < value < scale.high
    assert scale.high - scale.low < value
