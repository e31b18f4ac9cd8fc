"""What an audit's counts are counts of: classes, sensitive columns, clients, histograms.

A schema is a function of the *sets* of names that were seen and of what the user stated, never of
the order of rows: however rows are split, the parts' schemas unite to that of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from evaluation.audit.labels import number_text, ordered_classes
from evaluation.errors import InputError

VERSION = 2
"""Of the schema and of the files that hold counts."""
MISSING = "(missing)"
"""Group of the rows whose sensitive value is not given; it comes last."""
EVERYONE = "all"
"""The only client, where no column names clients."""

Task = Literal["classification", "regression"]

DIFFERS = (
    "counts do not fit together: {what} is {theirs!r} in one and {ours!r} in the other; count "
    "both with the same settings"
)


@dataclass(frozen=True)
class Axis:
    """One sensitive column.

    Parameters
    ----------
    name : str
        The column.
    levels : tuple of str
        Its groups: sorted by name, or in order of the intervals; `MISSING` last.
    cuts : tuple of float
        Cut points of a numeric column, increasing: intervals ``< c0, c0 to < c1, …, >= c_last``.
        Empty: every value is a group.
    """

    name: str
    levels: tuple[str, ...]
    cuts: tuple[float, ...] = ()


@dataclass(frozen=True)
class Schema:
    """Meaning of the axes of a `Tally`.

    Parameters
    ----------
    task : {"classification", "regression"}
        What was predicted.
    classes : tuple of str
        Label space in the order of `ordered_classes`, the positive class last. Empty for
        regression.
    axes : tuple of Axis
        Sensitive columns, as the user ordered them.
    clients : tuple of str
        Sorted; ``("all",)`` without a client column.
    positive : str or None
        The class that the user named as positive.
    bins : int or None
        Equal bins of the score histograms over [0, 1]; None: scores as they are; 0: no score.
    weighted : bool
        Whether rows have weights.
    place : int
        Weights and errors are summed as whole multiples of ``2 ** (30 * place)``, their squares of
        its square: the finest that any row needs, at most 0.
    columns : tuple of (str, str)
        Role and name of the columns that were read, for the record.
    """

    task: Task
    classes: tuple[str, ...]
    axes: tuple[Axis, ...]
    clients: tuple[str, ...] = (EVERYONE,)
    positive: str | None = None
    bins: int | None = 0
    weighted: bool = False
    place: int = 0
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The sensitive columns."""
        return tuple(axis.name for axis in self.axes)

    @property
    def group_shape(self) -> tuple[int, ...]:
        """Clients and levels of every sensitive column: the leading axes of all counts."""
        return (len(self.clients), *(len(axis.levels) for axis in self.axes))

    @property
    def score_classes(self) -> tuple[str, ...]:
        """Classes that have a score: the positive one where it is named, else all of them."""
        if self.bins == 0:
            return ()
        return self.classes if self.positive is None else (self.positive,)

    @property
    def sums(self) -> tuple[int, ...]:
        """What is summed beside rows, as powers: Σw and Σw²; Σe, Σ|e| and Σe² of a regression.

        Histograms of scores have the first alone.
        """
        if self.task == "regression":
            return (1, 1, 2)
        return (1, 2) if self.weighted else ()

    def axis(self, name: str) -> int:
        """Index of a sensitive column among `axes`.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        if name not in self.names:
            raise InputError(f"no sensitive column {name!r}; there are: {', '.join(self.names)}")
        return self.names.index(name)


def ordered_levels(names: Iterable[str]) -> tuple[str, ...]:
    """Groups in the order of an axis without cut points."""
    return tuple(sorted(set(names), key=lambda name: (name == MISSING, name)))


def cut_levels(cuts: Sequence[float]) -> tuple[str, ...]:
    """Names of the intervals between cut points.

    >>> cut_levels((25, 45))
    ('< 25', '25 to < 45', '>= 45')
    """
    texts = [number_text(cut) for cut in cuts]
    between = [f"{low} to < {high}" for low, high in pairwise(texts)]
    return (f"< {texts[0]}", *between, f">= {texts[-1]}")


def united(a: Schema, b: Schema) -> Schema:
    """The schema of the rows of both; refused if they were counted with different settings."""
    for what in ("task", "positive", "weighted"):
        _same(what, getattr(a, what), getattr(b, what))
    _same("number of bins", *("exact" if x.bins is None else x.bins for x in (a, b)))
    _same("sensitive columns", list(a.names), list(b.names))
    axes = []
    for own, other in zip(a.axes, b.axes, strict=True):
        _same(f"cut points of {own.name!r}", own.cuts, other.cuts)
        axes.append(replace(own, levels=_united_levels(own, other)))
    return replace(
        a,
        classes=ordered_classes((*a.classes, *b.classes), a.positive),
        axes=tuple(axes),
        clients=tuple(sorted({*a.clients, *b.clients})),
        place=min(a.place, b.place),
    )


def _united_levels(a: Axis, b: Axis) -> tuple[str, ...]:
    if not a.cuts:
        return ordered_levels((*a.levels, *b.levels))
    missing = (MISSING,) if MISSING in (*a.levels, *b.levels) else ()
    return (*cut_levels(a.cuts), *missing)


def _same(what: str, ours: object, theirs: object) -> None:
    if ours != theirs:
        raise InputError(DIFFERS.format(what=what, ours=ours, theirs=theirs))
