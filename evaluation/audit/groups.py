"""Groups and clients of rows, as indices that become a schema's axes when all rows are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.arrow import Codes, Place
from evaluation.audit.columns import Levels, numbers, texts
from evaluation.audit.labels import group_text, is_number
from evaluation.audit.schema import EVERYONE, MISSING, Axis, cut_levels, ordered_levels
from evaluation.audit.settings import ReadSettings
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


@dataclass
class Named:
    """Every value is a group."""

    column: str
    check: bool
    missing_texts: frozenset[str]
    levels: Levels = field(init=False)

    def __post_init__(self) -> None:
        self.levels = Levels(self.column, partial(group_text, missing=self.missing_texts))

    def __len__(self) -> int:
        return len(self.levels)

    def encode(self, array: Any, place: Place) -> Codes:
        """Index of each row's value, in order of appearance."""
        return self.levels.encode(array, place)

    def missing(self) -> int:
        """The index of `MISSING`."""
        return self.levels.code(MISSING)

    def names(self, used: NDArray[np.int64]) -> Names:
        """Names that occur, sorted; refused if they are numbers, and too many of them."""
        known = list(self.levels.codes)
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
        client = [] if settings.client is None else [Named(settings.client, False, self._gone)]
        self.columns: list[Grouping] = [*client, *map(self._grouping, settings.sensitive)]
        self.read_as_missing: Counter[tuple[str, str]] = Counter()

    def _grouping(self, column: str) -> Grouping:
        cuts = tuple(float(cut) for cut in self._settings.cuts.get(column, ()))
        if cuts:
            return Cut(column, cuts, self._gone)
        return Named(column, column not in self._settings.cuts, self._gone)

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
