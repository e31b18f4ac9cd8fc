"""From a site's own names to the federation's: classes, groups and their positions.

What a value becomes follows from its name alone, never from the other rows, their order or their
number: a site with a subset of the classes counts them as every other site does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fairfed.config.labels import LabelSpace
from fairfed.data.columns import near, nearest
from fairfed.data.table import encode
from semantic.errors import InputError

BLANK = "no value"
"""What a row without a label is counted as."""
MOST_LISTED = 10


@dataclass(frozen=True)
class Names:
    """What the values of one column are called in the federation, by names that it has."""

    setting: str  # the table of `[data]` in site.toml that says it: ``labels`` or ``groups.COLUMN``
    column: str  # the site's own column
    own: Mapping[str, str]  # the site's values → the federation's; "" stands for none
    known: tuple[str, ...]  # the federation's
    emptied: str  # what becomes of a row whose value is "": for errors
    tolerated: str  # what to write in site.toml so that values nobody knows are none: for errors

    def __post_init__(self) -> None:
        for name, target in self.own.items():
            if target and target not in self.known:
                raise InputError(
                    f"data.{self.setting}: {name!r} becomes {target!r}, which the federation does "
                    f"not have; there are: {', '.join(self.known)}{near(target, self.known)}"
                )

    def find(self, text: str) -> str | None:
        """The federation's name of a value, "" for none; None where nobody says."""
        whole = text.removesuffix(".0")  # whole numbers that a table with gaps holds as 3.0
        for spelling in (text, whole) if whole.isdecimal() else (text,):
            if spelling in self.own:
                return self.own[spelling]
            if spelling in self.known:
                return spelling
        return None


class Renamed(NamedTuple):
    """A column in the federation's names."""

    values: list[str | None]  # ``[n]``, None where a row has none
    # Rows that have none although they have a value, by the value: because `Names.own` says so;
    # because nobody knows it.
    emptied: Counter[str]
    unknown: Counter[str]
    unused: tuple[str, ...]  # names in `Names.own` that no row has
    called: dict[str, str]  # the federation's name of each value that it calls otherwise


def rename(
    texts: Sequence[str | None],
    names: Names,
    where: str,
    rows: Sequence[int],
    *,
    strict: bool,
    blank: bool = True,
) -> Renamed:
    """Call the values of a column, ``[n]`` with None where there is none, what the federation does.

    `rows`, ``[n]``, are the rows' positions in the source, for errors. `strict` makes a value that
    nobody knows an error; without `blank`, none is such a value. The `InputError` names all of
    them, a row, and what to write in site.toml.
    """
    called = {text: names.find(text) for text in dict.fromkeys(texts) if text is not None}
    strange = [text for text, name in called.items() if name is None]
    counts = Counter(texts)
    unknown = Counter({text: counts[text] for text in strange})
    if not blank and counts[None]:
        unknown[BLANK] += counts[None]
    if strict and unknown:
        first = dict(zip(reversed(texts), reversed(rows), strict=True))
        raise InputError(_unknown(unknown, first, names, where))
    emptied = Counter({text: counts[text] for text, name in called.items() if name == ""})
    seen = {*called, *(text.removesuffix(".0") for text in called)}
    unused = tuple(name for name in names.own if name not in seen)
    values = [None if text is None else called[text] or None for text in texts]
    otherwise = {text: name for text, name in called.items() if name and name != text}
    return Renamed(values, emptied, unknown, unused, otherwise)


def _unknown(
    unknown: Mapping[str, int], first: Mapping[str | None, int], names: Names, where: str
) -> str:
    """What is wrong, value by value, and the line of site.toml that mends it."""
    blanks = f"{where}: row {first.get(None, 0) + 1} has no {names.column}"
    named = [text for text in unknown if text in first]
    if not named:
        return f"{blanks}; fill it in, or write {names.tolerated} in [data] of site.toml"
    listed = named[:MOST_LISTED]
    lines = [
        f"  {text!r} in {_rows(unknown[text])} (the first is row {first[text] + 1})"
        + near(text, names.known)
        for text in listed
    ]
    if len(named) > len(listed):
        lines.append(f"  … and {len(named) - len(listed):,} more")
    key = names.setting.partition(".")
    entries = ", ".join(
        f"{toml_text(text)} = {toml_text(nearest(text, names.known) or '…')}" for text in listed
    )
    table = f"{key[0]}.{toml_key(key[2])}" if key[2] else key[0]
    return (
        f"{where}: column {names.column!r} has values that the federation does not know:\n"
        + "\n".join(lines)
        + f"\nIt knows {', '.join(names.known)}. Write in [data] of site.toml\n"
        f"  {table} = {{ {entries} }}\n"
        f'where "" {names.emptied}; or {names.tolerated} for all that are not named'
    )


def toml_key(name: str) -> str:
    """A name as a key of TOML: in quotes where it needs them."""
    plain = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if plain else toml_text(name)


def toml_text(text: str) -> str:
    """A text of TOML, which has JSON's quotes and escapes."""
    return json.dumps(text, ensure_ascii=False)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def group_positions(
    columns: Mapping[str, Sequence[str | None]], count: int, labels: LabelSpace
) -> npt.NDArray[np.int64]:
    """Positions of the rows' groups in `labels.groups`, ``[count]``.

    The columns are ``[count]`` values in the federation's names, by sensitive column; one that a
    site lacks is absent. Raises `InputError` if a row's crossing is none of the groups, because
    these were found without it.
    """
    rows = zip(*columns.values(), strict=True) if columns else [()] * count
    found = [labels.group(dict(zip(columns, values, strict=True))) for values in rows]
    strange = sorted(set(found) - set(labels.groups))
    if strange:
        raise InputError(
            f"found_groups: no group {strange[0]!r}; there are: {', '.join(labels.groups)}"
        )
    return encode(found, labels.groups)
