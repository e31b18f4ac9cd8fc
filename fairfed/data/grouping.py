"""From the values of a sensitive column to its groups."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from evaluation.audit.labels import number_text
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.config.table import Grouping

OTHER = "other"
"""Group of the values that `data.table.groups` does not name."""
MOST_NUMBERS = 10
"""A column with more different numbers measures something: each is no group of its own."""

MANY = (
    "{where}: {name!r} has {count} different numbers, and each would be a group; give cut points, "
    "as in data.table.groups = {{ {key} = [{cuts}] }}, or the values that are groups, as texts"
)


def name_groups(
    texts: Sequence[str | None],
    name: str,
    rule: Grouping | None,
    where: str,
    rows: Sequence[int] | None = None,
) -> list[str | None]:
    """The group of each value of column `name`; None for None.

    Without a rule of cut points, or of the values that are groups of their own, every value is one.
    `rows` are the positions of the values in their table, where these are not all. Raises
    `InputError` if a value is no number that cut points could order, a named value is nowhere, or
    numbers without cut points are too many.
    """
    known = [text for text in texts if text is not None]
    if not rule:
        _refuse_measurements(known, name, where)
        return list(texts)
    if isinstance(rule[0], float):
        places = rows or range(len(texts))
        return _cut(texts, sorted(map(float, rule)), name, where, places)
    absent = [value for value in rule if value not in known]
    if absent:
        raise InputError(
            f"data.table.groups: {name!r} is nowhere {absent[0]!r} in {where}; there are: "
            f"{', '.join(sorted(set(known)))}"
        )
    return [text if text is None or text in rule else OTHER for text in texts]


def cut_titles(cuts: Sequence[float]) -> list[str]:
    """Names of the stretches that cut points make: ``< 25``, ``25 to < 45``, ``≥ 45``."""
    texts = [number_text(cut) for cut in cuts]
    inner = [f"{low} to < {high}" for low, high in itertools.pairwise(texts)]
    return [f"< {texts[0]}", *inner, f"≥ {texts[-1]}"]


def _cut(
    texts: Sequence[str | None], cuts: list[float], name: str, where: str, rows: Sequence[int]
) -> list[str | None]:
    """The stretch of each number; a text that names a stretch, as an export does, is of it."""
    titles = cut_titles(cuts)
    found: list[str | None] = []
    for row, text in zip(rows, texts, strict=True):
        if text is None or text in titles:
            found.append(text)
        else:
            found.append(titles[bisect_right(cuts, _number(text, name, where, row))])
    return found


def _refuse_measurements(known: Sequence[str], name: str, where: str) -> None:
    numbers = [number for text in set(known) if (number := as_number(text)) is not None]
    if len(numbers) > MOST_NUMBERS:
        cuts = ", ".join(f"{cut:.3g}" for cut in sorted(set(np.percentile(numbers, (33, 67)))))
        key = name if name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'
        raise InputError(
            MANY.format(where=where, name=name, count=len(numbers), key=key, cuts=cuts)
        )


def as_number(text: str) -> float | None:
    """A finite number; None of any other text."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _number(text: str, name: str, where: str, row: int) -> float:
    number = as_number(text)
    if number is None:
        raise InputError(
            f"{where}: row {row + 1} has {name} = {text!r}, expected a number, which the cut "
            "points of data.table.groups order; correct it, or say that it stands for no value"
        )
    return number
