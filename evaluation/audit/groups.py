"""Groups and clients of rows, as indices that become a schema's axes when all rows are read.

Cut points of numeric columns at their quantiles come from one reading in bounded memory. Rows are
counted by number, and beyond `evaluation.audit.leading_bits.LIMIT` different numbers by cell: the
same rows give the same cut points in any order. A cut point lies between two numbers that occur, at
the place where the rows below come nearest to the share that is wanted, and is the shortest number
there: it never moves a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.columns import Codes, Levels, Place, numbers, texts
from evaluation.audit.gather import Gather, ScoreGather
from evaluation.audit.labels import group_text, is_number, number_text, simplest
from evaluation.audit.leading_bits import Cells
from evaluation.audit.schema import EVERYONE, MISSING, Axis, cut_levels, ordered_levels
from evaluation.audit.settings import ReadSettings
from evaluation.audit.sparse import IntArray
from evaluation.errors import InputError

NUMERIC = 10
"""Different numbers that a sensitive column without cut points may have."""
GIVE_CUTS = (
    "sensitive column {column!r} holds {n} different numbers: give cut points, as "
    "--cuts {column}=25,45, or let --auto-cuts propose them (Python: "
    "cuts={{{column!r}: (25, 45)}}, () if every number is a group; auto_cuts=True)"
)
NO_GROUP = (
    "no value; say with --missing group or drop (Python: missing=) whether such rows are a group "
    "or left out"
)

Names = tuple[tuple[str, ...], NDArray[np.int64]]
"""Names in the order of an axis, and the place among them of every index."""
NOTE = "{column} was cut at {cuts} into groups of {shares} % of its rows (asked: {n} equal ones)"


@dataclass
class Named(Levels):
    """Every value is a group."""

    check: bool = False  # whether many numbers are refused

    def missing(self) -> int:
        """The index of `MISSING`."""
        return self.code(MISSING)

    def names(self, used: NDArray[np.int64]) -> Names:
        """Names that occur, sorted; refused if they are numbers, and too many of them."""
        known = list(self.codes)
        occurring = [known[int(index)] for index in used]
        values = [name for name in occurring if name != MISSING]
        if self.check and len(values) > NUMERIC and all(map(is_number, values)):
            raise InputError(GIVE_CUTS.format(column=self.column, n=len(values)))
        ordered = ordered_levels(occurring)
        places = {name: place for place, name in enumerate(ordered)}
        return ordered, np.array([places.get(name, 0) for name in known], np.int64)


@dataclass(frozen=True)
class Cut:
    """Intervals between cut points are the groups."""

    column: str
    cuts: tuple[float, ...]
    missing_texts: frozenset[str]

    def __len__(self) -> int:
        return len(self.cuts) + 2

    def encode(self, array: Any, place: Place) -> Codes:
        """Index of the interval of each row's number."""
        floats = numbers(array, self.column, place, self.missing_texts)
        codes = np.searchsorted(np.asarray(self.cuts), floats, side="right").astype(np.int32)
        codes[np.isnan(floats)] = -1
        return codes

    def missing(self) -> int:
        """The index after the intervals."""
        return len(self.cuts) + 1

    def names(self, used: NDArray[np.int64]) -> Names:
        """All intervals, and `MISSING` where it occurs."""
        gone = (MISSING,) if self.missing() in used else ()
        return (*cut_levels(self.cuts), *gone), np.arange(len(self), dtype=np.int64)


Grouping = Named | Cut


class Groups:
    """The client and sensitive columns of a table."""

    def __init__(self, settings: ReadSettings) -> None:
        self._settings, self._gone = settings, settings.missing_texts
        self._name = partial(group_text, missing=self._gone)
        client = [] if settings.client is None else [Named(settings.client, self._name)]
        self.columns: list[Grouping] = [*client, *map(self._grouping, settings.sensitive)]
        self.read_as_missing: Counter[tuple[str, str]] = Counter()

    def _grouping(self, column: str) -> Grouping:
        cuts = tuple(float(cut) for cut in self._settings.cuts.get(column, ()))
        if cuts:
            return Cut(column, cuts, self._gone)
        return Named(column, self._name, check=column not in self._settings.cuts)

    def encode(self, batch: Any, place: Place) -> tuple[list[Codes], list[tuple[str, Any]]]:
        """Indices of a batch's rows along each axis, and the rows to leave out, by column."""
        codes, dropped = [], []
        for grouping in self.columns:
            array = batch.column(grouping.column)
            own = grouping.encode(array, place)
            gone = own < 0
            if gone.any():
                for text, n in texts(array, gone).items():
                    self.read_as_missing[grouping.column, text] += n
                if self._settings.missing == "error":
                    raise place.error(int(np.argmax(gone)), grouping.column, NO_GROUP)
                if self._settings.missing == "drop":
                    dropped.append((grouping.column, gone))
                else:
                    own[gone] = grouping.missing()
            codes.append(own)
        return codes, dropped

    @property
    def sizes(self) -> tuple[int, ...]:
        """Indices of each axis so far, the client first (one, without a column of clients)."""
        own = tuple(len(grouping) for grouping in self.columns)
        return own if self._settings.client is not None else (1, *own)

    def axes(
        self, index: Sequence[NDArray[np.int64]]
    ) -> tuple[tuple[str, ...], tuple[Axis, ...], list[NDArray[np.int64]]]:
        """Clients, axes and the place of every index, given the indices of the cells that occur."""
        clients: Names = ((EVERYONE,), np.zeros(1, np.int64))
        index = list(index)
        columns = list(self.columns)
        if self._settings.client is None:
            index = index[1:]
        else:
            clients = columns.pop(0).names(np.unique(index.pop(0)))
        # An audit's clients are sorted by name throughout, the missing one among them.
        names = tuple(sorted(clients[0]))
        order = np.array([names.index(name) for name in clients[0]] or [0], np.int64)
        axes, maps = [], [order[clients[1]] if len(clients[0]) else clients[1]]
        for grouping, own in zip(columns, index, strict=False):
            levels, places = grouping.names(np.unique(own))
            cuts = grouping.cuts if isinstance(grouping, Cut) else ()
            axes.append(Axis(grouping.column, levels, cuts))
            maps.append(places)
        return names, tuple(axes), maps


def with_cuts(
    settings: ReadSettings, batches: Iterable[tuple[Any, Place]]
) -> tuple[ReadSettings, tuple[str, ...]]:
    """Settings with cut points for every column that needs them, and a note about each."""
    counted = {
        column: ScoreGather(None, Gather())
        for column in settings.sensitive
        if column not in settings.cuts
    }
    for batch, place in batches:
        for column in list(counted):
            try:
                floats = numbers(batch.column(column), column, place, settings.missing_texts)
            except InputError:  # no column of numbers: every value is a group
                del counted[column]
                continue
            known = floats[~np.isnan(floats)]
            counted[column].add((), np.zeros(len(known), np.int64), known, None)
    cuts: dict[str, tuple[float, ...]] = {**settings.cuts}
    notes = []
    for column, own in counted.items():
        sums, cells = own.counts(())
        if cells is None or len(cells) <= NUMERIC:
            continue
        cuts[column] = cut_points(cells, sums.rows, settings.quantiles)
        shares = (f"{100 * share:.1f}" for share in shares_of(cells, sums.rows, cuts[column]))
        notes.append(
            NOTE.format(
                column=column,
                n=settings.quantiles,
                cuts=", ".join(map(number_text, cuts[column])),
                shares=", ".join(shares),
            )
        )
    return replace(settings, cuts=cuts, auto_cuts=False), tuple(notes)


def cut_points(cells: Cells, rows: IntArray, n: int) -> tuple[float, ...]:
    """At most ``n − 1`` cut points that leave about equally many rows in each of `n` groups.

    Fewer where many `rows` share a number: it is then a group alone, or with its neighbours. There
    are at least two `cells` of numbers, and `n` is at least 2.
    """
    below = np.cumsum(rows)[:-1]
    wanted = rows.sum() * np.arange(1, n) / n
    # Of two places that are equally near, the lower one.
    chosen = np.unique([int(np.argmin(np.abs(below - share))) for share in wanted])
    low, high = cells.low, cells.high
    return tuple(simplest(float(high[i]), float(low[i + 1])) for i in chosen)


def shares_of(cells: Cells, rows: IntArray, cuts: tuple[float, ...]) -> tuple[float, ...]:
    """Share of the rows in each group that cut points make."""
    ends = [0, *np.searchsorted(cells.low, cuts), len(rows)]
    return tuple(float(rows[start:end].sum() / rows.sum()) for start, end in pairwise(ends))
