"""From the columns of a user's table to labels, groups, split and clients."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fairfed.data.grouping import name_groups
from fairfed.data.records import Records
from fairfed.data.saying import say
from fairfed.data.splits import Bools
from fairfed.data.table import LabelledTable, draw_test_rows, encode_groups, encode_labels
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.config import DataConfig
    from fairfed.config.data import ReadingConfig


def require_columns(found: Sequence[str], data: DataConfig, where: str) -> None:
    """Check that the columns which the configuration names exist, and groups are of sensitive ones.

    Raises `InputError`: the setting, the column, the columns that there are, and the one that is
    near.
    """
    wanted = [("data.label", data.label)]
    wanted += [("data.sensitive", name) for name in data.sensitive]
    others = (("data.client", data.client), ("data.split_by", data.split_by))
    wanted += [(setting, name) for setting, name in others if name is not None]
    for setting, name in wanted:
        if name not in found:
            advice = "; for data without one: data.sensitive = []" if name == "tint" else ""
            raise InputError(
                f"{where}: no column {name!r}, which {setting} names; there are: "
                f"{', '.join(found)}{near(name, found)}{advice}"
            )
    for name in data.table.groups:
        if name not in data.sensitive:
            raise InputError(f"data.table.groups: {name!r} is not one of data.sensitive; add it")


def nearest(name: str, found: Sequence[str]) -> str | None:
    """The one of the names found that is `name` but for its case or a letter."""
    folded = {other.casefold(): other for other in found}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.75)
    return folded[close[0]] if close else None


def near(name: str, found: Sequence[str]) -> str:
    """Advice where there is a name that is `nearest`."""
    close = nearest(name, found)
    return f"; did you mean {close!r}?" if close is not None else ""


def label_rows(
    records: Records,
    rows: Sequence[int],
    test: Bools | None,
    training: Bools,
    data: DataConfig,
    seed: int,
) -> LabelledTable:
    """What is known of some rows of a source, from its label, sensitive and client columns.

    `rows` are their ``n`` positions in the source; `test`, ``[n]``, marks test rows, and a seeded
    fifth of each class is set aside where it is None; `training`, ``[n]``, marks rows that never
    test.

    Raises `InputError` if a label is missing or outside the label space, a client has no name, or a
    sensitive column makes no groups.
    """
    where, columns = records.where, records.columns

    def values(name: str) -> list[object]:
        return [columns[name][row] for row in rows]

    names = filled_texts(values(data.label), f"{where}: label", data.label, data.missing, rows)
    classes, labels = encode_labels(names, data.classes, where, rows)
    clients = None
    if data.client is not None:
        found = values(data.client)
        clients = tuple(filled_texts(found, f"{where}: client", data.client, data.missing, rows))
    sensitive = {
        name: name_groups(
            known_texts(values(name), data.missing), name, data.table.groups.get(name), where, rows
        )
        for name in data.sensitive
    }
    group_names, groups = encode_groups(sensitive, len(labels))
    persons = read_persons(records, rows, data)
    test = set_aside(test, training, labels, groups, clients, seed, where, data.split, persons)
    return LabelledTable(labels, groups, test, classes, group_names, clients)


def set_aside(
    test: Bools | None,
    training: Bools,
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    clients: Sequence[str] | None,
    seed: int,
    where: str,
    split: str,
    persons: Sequence[Hashable] | None = None,
) -> Bools:
    """Which rows are for testing, ``[n]``: as `test` says, or else a fifth of each large class.

    Of `persons`, ``[n]``, whole ones are set aside.
    """
    if test is not None:
        say_divided(persons, test, where)
    else:
        test = np.zeros(len(labels), bool)
        real = np.flatnonzero(~training)
        owners = None if clients is None else [clients[row] for row in real.tolist()]
        people = None if persons is None else [persons[row] for row in real.tolist()]
        test[real] = draw_test_rows(labels[real], groups[real], owners, seed, people)
        if not test.any():
            each = "" if clients is None else " of a client"
            raise InputError(
                f"{where}: no class{each} has the 3 images that it takes to set a fifth aside, so "
                f"that there are no test rows among {len(labels)}; add some, or mark test rows in "
                f"a column {split!r} (data.split)"
            )
        whose = "" if persons is None else ", whole persons each,"
        say(
            f"{where}: the data do not say which rows test; {test.sum():,} of {len(labels):,}"
            f"{whose} are set aside, a fifth of each class and evenly over its groups (the seed "
            "says which)"
        )
    return test & ~training


def read_persons(
    records: Records, rows: Sequence[int], data: ReadingConfig
) -> list[Hashable] | None:
    """Whom some rows of a source are of; None where nothing says it (`data.split_by`)."""
    if data.split_by is None:
        return None
    column = records.columns[data.split_by]
    return persons_of(known_texts([column[row] for row in rows], data.missing))


def persons_of(values: Sequence[str | None]) -> list[Hashable]:
    """Whom rows are of: by the value of a column, and each without one a person of its own."""
    return [row if value is None else value for row, value in enumerate(values)]


def say_divided(persons: Sequence[Hashable] | None, test: Bools, where: str) -> None:
    """Say how many persons have rows on both sides of a division that the data make."""
    if persons is None:
        return
    tested = {person for person, tests in zip(persons, test, strict=True) if tests}
    trained = {person for person, tests in zip(persons, test, strict=True) if not tests}
    both = len(tested & trained)
    if both:
        say(
            f"{where}: {both:,} of {len(tested | trained):,} persons (data.split_by) have both "
            "training and test rows, as the data divide them: what is measured is too good"
        )


def known_texts(values: Sequence[object], missing: Collection[str]) -> list[str | None]:
    """The values as text; None for those that are blank or, in any case, among `missing`."""
    none = {"", *(text.strip().casefold() for text in missing)}
    texts = ["" if value is None or value != value else str(value).strip() for value in values]
    return [None if text.casefold() in none else text for text in texts]


def filled_texts(
    values: Sequence[object],
    what: str,
    name: str,
    missing: Collection[str] = (),
    rows: Sequence[int] | None = None,
) -> list[str]:
    """The values of a column as text; `InputError` names the row of one that is missing.

    Blank ones and the texts of `missing` are. `rows` are the positions of the values in their
    table, where these are not all.
    """
    texts = known_texts(values, missing)
    if None in texts:
        place = texts.index(None)
        row = place if rows is None else rows[place]
        text = "" if values[place] is None else str(values[place]).strip()
        why = f"{text!r}, which data.missing takes for no value" if text else "blank"
        raise InputError(f"{what} of row {row + 1} is {why}; fill column {name!r} or drop the row")
    return [text for text in texts if text is not None]


def require_both(test: npt.NDArray[np.bool_], where: str) -> None:
    """Refuse rows of which none are to train on, or none to test on."""
    for kind, some in (("training", ~test), ("test", test)):
        if not some.any():
            raise InputError(f"{where}: no {kind} rows among {len(test)}; add some")
