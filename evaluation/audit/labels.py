"""One text for every label: what makes 1, 1.0 and "1" the same class or group.

The rule looks at one value alone, never at its column or file, so that every part of the data
reads alike:

- Numbers lose what does not change them: ``1``, ``1.0``, ``"1.00"`` and ``"+1"`` are ``1``;
  ``"0.50"`` is ``0.5``; ``1e+16`` is written out. Text that merely looks like a number, such as
  ``007`` or ``1E5``, is a code and stays.
- Text loses the white space around it. Its case stays, except that ``True`` is ``true``.
- Nothing, NaN and an infinite number are missing; so are the texts of `MISSING_TEXTS` in any case,
  or those that are given in their place. Empty text always is.
- As a class, ``true`` is ``1`` and ``false`` is ``0``; as a group they stay words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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
