"""The words by which data say what a row is for: training, validation or test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from fairfed.data.saying import say
from semantic.errors import InputError

Part = Literal["train", "validation", "test"]
Bools = npt.NDArray[np.bool_]

WORDS: dict[str, Part] = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Names of splits and of their folders, in lower case."""

_USES = {
    "unused": "they are neither trained nor tested on",
    "train": "they are trained on",
    "test": "they are tested on",
}


def part_of(name: object) -> Part | None:
    """The part that a word names, or None."""
    return WORDS.get(str(name).strip().lower())


def read_split(
    values: Sequence[object], name: str, where: str, rows: Sequence[int] | None = None
) -> list[Part]:
    """Read the split column; `InputError` names the row of a value that names no part.

    `rows` are the positions of the values in their table, where these are not all.
    """
    parts = [part_of(value) for value in values]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        place = parts.index(None)
        row = place if rows is None else rows[place]
        raise InputError(
            f"{where}: row {row + 1} has {name} = {values[place]!r}, expected train or test, or "
            "val for validation"
        )
    return found


def divide_parts(
    parts: Sequence[Part], use: Literal["unused", "train", "test"] | None, where: str
) -> tuple[Bools, Bools]:
    """Which rows are used, and which of all rows are for testing, each ``[n]``.

    Nothing here is chosen on validation rows. Where there are no test rows, validation rows take
    their place; else they are not used. `use` decides otherwise; either way the user is told.
    """
    found = np.array(parts)
    validation, test = found == "validation", found == "test"
    if not validation.any():
        return np.ones(len(found), bool), test
    use = use or ("unused" if test.any() else "test")
    say(
        f"{where}: {validation.sum():,} of {len(found):,} rows are for validation; {_USES[use]} "
        "(data.validation)"
    )
    used = ~validation if use == "unused" else np.ones(len(found), bool)
    return used, test | validation if use == "test" else test
