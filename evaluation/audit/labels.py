"""One text for every label, and the order of classes: what makes 1, 1.0 and "1" the same one.

The rule looks at one value alone, never at its column or file, so that every part of the data
reads alike:

- Numbers lose what does not change them: ``1``, ``1.0``, ``"1.00"`` and ``"+1"`` are ``1``;
  ``"0.50"`` is ``0.5``; ``1e+16`` is written out. Text that merely looks like a number, such as
  ``007`` or ``1E5``, is a code and stays.
- Text loses the white space around it. Its case stays, except that ``True`` is ``true``.
- Nothing, NaN and an infinite number are missing; so are the texts of `MISSING_TEXTS` in any case,
  or those that are given in their place. Empty text always is.
- As a class, ``true`` is ``1`` and ``false`` is ``0``; as a group they stay words.

The order of classes, and which of two is the positive one, are functions of the names alone, so
that parts of the data that are counted apart agree. What the names do not say is never guessed: see
`evaluation.audit.vocabulary.check_positive`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import ROUND_FLOOR, Context
from math import isfinite
from typing import Any

import numpy as np

MISSING_TEXTS = frozenset(
    ["", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "nat"]
    + [sign + word for sign in ("", "+", "-") for word in ("inf", "infinity")]
)
"""Texts, in lower case, that stand for a missing value where no others are given."""

_WHOLE = re.compile(r"(?:\+(?!-))?(-?(?:0|[1-9][0-9]*))(?:\.0*)?", re.ASCII)
_DECIMAL = re.compile(r"(?:\+(?!-))?(-?(?:0|[1-9][0-9]*)\.[0-9]+)", re.ASCII)
# Only with the sign of the exponent, as programs write it: "1e5" may be a ward.
_POWER = re.compile(r"-?[0-9](?:\.[0-9]+)?e[+-][0-9]{2,3}", re.ASCII)
_TRUTH = {"true": "1", "false": "0"}
PAIRS = (
    ("no", "yes"),
    ("n", "y"),
    ("false", "true"),
    ("f", "t"),
    ("negative", "positive"),
    ("neg", "pos"),
    ("absent", "present"),
    ("benign", "malignant"),
    ("-", "+"),
)
"""Names in lower case, the second of which everybody takes for the positive one."""
NEGATIONS = tuple(f"{word}{mark}" for word in ("not", "no", "non") for mark in (" ", "-", "_"))
"""What makes of a class its absence: "not hired" beside "hired"."""
DIGITS = 17
"""Significant digits that tell any two float64 apart."""


def missing_texts(values: Iterable[str] | None) -> frozenset[str]:
    """Texts that stand for a missing value, in lower case: those given, or `MISSING_TEXTS`."""
    if values is None:
        return MISSING_TEXTS
    return frozenset(value.strip().lower() for value in values)


def group_text(value: Any, missing: frozenset[str] = MISSING_TEXTS) -> str | None:
    """The name of a group or client, or None where it is missing.

    `missing` are texts in lower case that stand for nothing; empty text does whatever they are.

    >>> [group_text(value) for value in (1, 1.0, " 1.0", "007", True, "True", "n/a")]
    ['1', '1', '1', '007', 'true', 'true', None]

    Raises
    ------
    UnicodeDecodeError
        If bytes are no UTF-8.
    """
    if value is None:
        return None
    if isinstance(value, float | np.floating):
        return _number_text(value)
    text = (value.decode("utf-8") if isinstance(value, bytes) else str(value)).strip()
    folded = text.lower()
    if not folded or folded in missing:
        return None
    return folded if folded in _TRUTH else _plain(text)


def class_text(value: Any, missing: frozenset[str] = MISSING_TEXTS) -> str | None:
    """The name of a class: `group_text`, with true as 1 and false as 0.

    >>> [class_text(value) for value in (1, True, "false", "benign")]
    ['1', '1', '0', 'benign']
    """
    text = group_text(value, missing)
    return text if text is None else _TRUTH.get(text, text)


def is_number(name: str) -> bool:
    """Whether the name of a group is a number's."""
    return any(form.fullmatch(name) for form in (_WHOLE, _DECIMAL, _POWER))


def _number_text(value: float | np.floating[Any]) -> str | None:
    if not isfinite(value):
        return None
    # str, not repr or format: a float32 of 0.1 shall be "0.1", as it is in a CSV file.
    return str(int(value)) if float(value).is_integer() else _plain(str(value))


def _plain(text: str) -> str:
    whole = _WHOLE.fullmatch(text)
    if whole:
        return "0" if whole[1] == "-0" else whole[1]
    decimal = _DECIMAL.fullmatch(text)
    if decimal:
        return decimal[1].rstrip("0")
    if _POWER.fullmatch(text) and isfinite(float(text)):
        number = float(text)
        return str(int(number)) if number.is_integer() else str(number)
    return text


def implied_positive(names: Iterable[str]) -> str | None:
    """The positive one of two classes where their names say it; None otherwise.

    The higher of two numbers, the second of a pair of `PAIRS`, and what the other one negates.

    >>> [implied_positive(pair) for pair in (("10", "2"), ("Yes", "No"), ("hired", "not hired"))]
    ['10', 'Yes', 'hired']
    >>> implied_positive(("cat", "dog"))
    """
    two = sorted(set(names))
    if len(two) != 2:
        return None
    if all(map(is_number, two)):
        return max(two, key=float)
    folded = {name.casefold(): name for name in two}
    for negative, positive in PAIRS:
        if set(folded) == {negative, positive}:
            return folded[positive]
    return next(
        (folded[own] for own in folded for word in NEGATIONS if f"{word}{own}" in folded), None
    )


def ordered_classes(names: Iterable[str], positive: str | None) -> tuple[str, ...]:
    """Classes in the order of a schema: by number or name, the positive one last.

    >>> ordered_classes(("10", "9", "2"), None), ordered_classes(("hired", "not hired"), None)
    (('2', '9', '10'), ('not hired', 'hired'))
    """
    found = set(names)
    last = implied_positive(found) if positive is None else positive
    numeric = all(map(is_number, found))
    return tuple(
        sorted(found, key=lambda name: (name == last, float(name) if numeric else 0.0, name))
    )


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
