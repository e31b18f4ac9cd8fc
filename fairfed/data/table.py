"""What is known of the rows of a federation before they are divided: label, group, part."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from fairfed.config.labels import ALL, MISSING, refuse_crossed
from fairfed.data.saying import say
from fairfed.data.stored import Images, StoredImages
from semantic.errors import InputError
from semantic.naming import CROSSED

TEST_FRACTION = 0.2
FEW_PERSONS = (
    "data.split_by: {found} persons, and setting a fifth aside takes {least}; leave it out, or "
    "mark test rows in a column (data.split)"
)
_TEST_STREAM = 11


@dataclass(frozen=True, eq=False)
class LabelledTable:
    """Rows with what is known of each, whatever they describe.

    Attributes
    ----------
    labels, groups
        ``[n]`` positions in `classes` and `group_names`.
    test
        ``[n]``, True where a row is for testing only.
    classes, group_names
        The federation's label space and its sensitive groups.
    clients
        ``n`` client names, or None where the data names no clients.
    """

    unit: ClassVar[str] = "rows"
    """What a row is called in messages, in the plural."""

    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    test: npt.NDArray[np.bool_]
    classes: tuple[str, ...]
    group_names: tuple[str, ...]
    clients: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.int64]) -> Self:
        """The table of some rows alone, in their order."""
        columns = (one.name for one in fields(self) if one.name not in ("classes", "group_names"))
        return replace(self, **{name: _taken(getattr(self, name), rows) for name in columns})

    def cells(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Count `rows` by cell: ``[n_classes, n_groups]``."""
        counts = np.zeros((len(self.classes), len(self.group_names)), np.int64)
        np.add.at(counts, (self.labels[rows], self.groups[rows]), 1)
        return counts


@dataclass(frozen=True, eq=False)
class ImageTable(LabelledTable):
    """Images with what is known of each: one row, one image.

    Attributes
    ----------
    images
        ``[n, H, W, 3]``, RGB, 0 to 255; an array, or a file of more than memory holds.
    rows
        ``[n]`` positions in the source: some of its rows may be left out.
    """

    unit: ClassVar[str] = "images"

    images: Images = field(kw_only=True)
    rows: npt.NDArray[np.int64] | None = field(default=None, kw_only=True)


def _taken(column: Any, rows: npt.NDArray[np.int64]) -> Any:
    """Some rows of an array, of stored images, of a tuple, or of a DataFrame; None of none."""
    if isinstance(column, StoredImages):
        return column.chosen(rows)
    if isinstance(column, tuple):
        return tuple(column[row] for row in rows.tolist())
    return column if column is None else getattr(column, "iloc", column)[rows]


def natural_order(names: Sequence[str]) -> tuple[str, ...]:
    """Distinct names, sorted: whole numbers first, by value, then text."""
    return tuple(sorted(set(names), key=lambda n: (0, int(n), n) if n.isdecimal() else (1, 0, n)))


def encode(names: Sequence[str], space: Sequence[str]) -> npt.NDArray[np.int64]:
    """Positions of `names` in `space`, ``[n]``; raises KeyError for a name that is not in it."""
    position = {name: index for index, name in enumerate(space)}
    return np.array([position[name] for name in names], np.int64)


def encode_labels(
    labels: Sequence[str],
    declared: Sequence[str],
    where: str,
    rows: Sequence[int] | None = None,
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """The label space and the labels' positions in it.

    `rows` are the positions of the labels in their table, where these are not all. Raises
    `InputError` if a label is not in the declared space, or reads as a crossing.
    """
    classes = tuple(declared) or natural_order(labels)
    for name in classes:
        refuse_crossed(name, f"{where}: the class")
    say_likeness(classes, f"{where}: the classes")
    for place, label in enumerate(labels):
        if label not in classes:
            row = place if rows is None else rows[place]
            raise InputError(
                f"{where}: row {row + 1} has the label {label!r}, which is not in data.classes "
                f"({', '.join(classes)}); correct the row or add the class"
            )
    return classes, encode(labels, classes)


def encode_groups(
    columns: Mapping[str, Sequence[str | None]], n_rows: int
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """The sensitive groups: the columns' values, crossed as ``a × b`` where there are several.

    An absent value (None) counts as a value of its own, `MISSING`; no column gives one group,
    `ALL`. Raises `InputError` if a value reads as a crossing.
    """
    if not columns:
        return (ALL,), np.zeros(n_rows, np.int64)
    for name, column in columns.items():
        for value in dict.fromkeys(column):
            refuse_crossed(value or "", f"data.sensitive: the value of {name}")
        say_likeness(natural_order([value or MISSING for value in column]), f"{name}: the values")
    texts = [[value or MISSING for value in column] for column in columns.values()]
    crossed = [CROSSED.join(parts) for parts in zip(*texts, strict=True)]
    groups = natural_order(crossed)
    return groups, encode(crossed, groups)


def say_likeness(names: Sequence[str], what: str) -> None:
    """Say which names differ in case alone: they count as two, and seldom are."""
    spelt: dict[str, list[str]] = {}
    for name in names:
        spelt.setdefault(name.casefold(), []).append(name)
    for alike in spelt.values():
        if len(alike) > 1:
            say(f"{what} {' and '.join(map(repr, alike))} differ in case alone, and count as two")


def draw_test_rows(
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    clients: Sequence[str] | None,
    seed: int,
    persons: Sequence[Hashable] | None = None,
) -> npt.NDArray[np.bool_]:
    """Set aside a fifth of every class (of every client that the data names) for testing.

    Its groups share that in proportion, as nearly as whole rows allow. With `persons` whole persons
    are set aside, whose rows are as nearly as possible a fifth of every class.
    """
    owners = clients if clients is not None else [""] * len(labels)
    strata: dict[tuple[str, int], list[int]] = {}
    for row, (owner, label) in enumerate(zip(owners, labels.tolist(), strict=True)):
        strata.setdefault((owner, label), []).append(row)
    if persons is not None:
        return _draw_persons(persons, strata, seed)
    rng = np.random.default_rng([seed, _TEST_STREAM])
    test = np.zeros(len(labels), bool)
    for key in sorted(strata):
        rows = rng.permutation(np.array(strata[key]))
        held, of = np.unique(groups[rows], return_inverse=True)
        shares = _divided(int(TEST_FRACTION * rows.size + 0.5), np.bincount(of))
        for group in range(len(held)):
            test[rows[of == group][: shares[group]]] = True
    return test


def _divided(total: int, sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A number of rows in proportion to sizes, ``[k]``, by the largest remainders."""
    exact = total * sizes / max(1, sizes.sum())
    found: npt.NDArray[np.int64] = np.floor(exact).astype(np.int64)
    largest = np.argsort(found - exact, kind="stable")[: total - found.sum()]
    found[largest] += 1
    return found


def _draw_persons(
    persons: Sequence[Hashable], strata: Mapping[tuple[str, int], Sequence[int]], seed: int
) -> npt.NDArray[np.bool_]:
    from sklearn.model_selection import StratifiedGroupKFold

    folds, test = round(1 / TEST_FRACTION), np.zeros(len(persons), bool)
    which = {person: number for number, person in enumerate(dict.fromkeys(persons))}
    if len(which) < folds:
        raise InputError(FEW_PERSONS.format(found=len(which), least=folds))
    of, code = np.array([which[person] for person in persons]), np.zeros(len(persons), np.int64)
    for number, key in enumerate(sorted(strata)):
        code[strata[key]] = number
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class with fewer rows than folds goes where it fits
        cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        test[next(cut.split(code, code, of))[1]] = True
    return test
