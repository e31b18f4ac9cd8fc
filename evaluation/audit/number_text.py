"""Numbers as people write them: no digit more than tells them apart, and none less."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Context
from typing import Any

import numpy as np

DIGITS = 17
"""Significant digits that tell any two float64 apart."""


def number_text(value: float) -> str:
    """The shortest text that stands for this very float64, whole numbers without a point.

    >>> [number_text(value) for value in (25.0, 0.1, 1000000050.0, 1e-7)]
    ['25', '0.1', '1000000050', '1e-07']
    """
    return repr(float(value)).removesuffix(".0")


def stated(value: Any) -> float:
    """The number that a user means: what it reads as, whatever its type.

    >>> stated("0.7") == stated(np.float32(0.7)) == 0.7
    True

    Raises
    ------
    ValueError, TypeError
        If it is none.
    """
    return float(str(value)) if isinstance(value, np.floating) else float(value)


def simplest(above: float, up_to: float) -> float:
    """The number with the fewest digits that is larger than `above` and not larger than `up_to`.

    Wherever no value lies between the two, it divides values just as `up_to` does.

    >>> simplest(24.0, 25.0), simplest(0.29998, 0.30002), simplest(0.0001, 0.0009)
    (25.0, 0.3, 0.0009)
    """
    for digits in range(1, DIGITS):
        number = float(Context(prec=digits, rounding=ROUND_FLOOR).create_decimal(repr(up_to)))
        if above < number <= up_to:
            return number
    return up_to
