"""Redaction: which groups may be published so that no small count can be derived.

A count is small if it is from 1 to `AuditOptions.redact`. Of a group either everything is published
or nothing, so what an audit says depends on two things alone: the counts of its published groups,
and the counts of all rows. Cross by cross, single columns first, groups are published whose counts
are all 0 or large; then the attack of `evaluation.audit.attack` is run on everything published so
far, and while it finds a small count of any group, published or not, another group of the cross is
withheld too (complementary suppression). An audit that compares the published groups alone can then
leak nothing, whatever is made of it.

Rows of groups that are too small to compare, and whose column has too few such rows to hide them,
are left out of the audit altogether: else a whole column would have to be withheld for them.

Counts of a group: its confusion cells; with more than two classes, of which only averages are
published, its right and wrong rows; of a regression its rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.attack import NOT_PUBLISHED, gives_away
from evaluation.audit.options import AuditOptions, Shown
from evaluation.audit.sparse import IntArray, SparseCounts
from evaluation.audit.tally import CROSSED, Tally
from evaluation.errors import InputError

Flags = NDArray[np.bool_]

NOTHING = (
    "redact: nothing can be published, as an outcome (a true and a predicted class) has from 1 to "
    "{most} rows in all; audit more rows, redact less, or keep the report to yourself"
)
SOME = "some"
"""Instead of a number of rows in a note."""
_ROWS = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3})+|\d+)(?=\s(?:rows?|people|examples?)\b)")
_FEWER = re.compile(r"fewer than$")
_N = re.compile(r"\bn\s?=\s?[\d,]*\d")


def without_small(tally: Tally, options: AuditOptions) -> tuple[Tally, tuple[str, ...]]:
    """Leave out the rows of small groups that would give each other away.

    Also says which groups those were, as ``column: group``.
    """
    gone: list[str] = []
    axis = 0
    while axis < len(tally.schema.axes):
        places, counts = _finest(tally)
        own = tally.schema.axes[axis]
        sums = np.zeros((len(own.levels), counts.shape[1]), np.int64)
        np.add.at(sums, places[:, axis + 1], counts)
        rows = sums.sum(axis=1)
        few = (rows > 0) & (rows < options.min_group)
        if not _small(sums[few].sum(axis=0), options.redact).any():
            axis += 1
            continue
        gone += [f"{own.name}: {own.levels[i]}" for i in np.flatnonzero(few)]
        tally = tally.mapped(partial(_without, axis + 1, few))
        axis = 0  # other columns have fewer rows now
    return tally, tuple(gone)


def _without(axis: int, levels: Flags, counted: SparseCounts) -> SparseCounts:
    return counted.some(~levels[counted.along(axis)])


def _small(counts: IntArray, most: int) -> Flags:
    return np.asarray((counts >= 1) & (counts <= most))


class Redaction:
    """The groups of one audit that may be published, chosen one cross after the other."""

    def __init__(self, tally: Tally, options: AuditOptions) -> None:
        self.schema, self.most = tally.schema, options.redact
        self.least = max(1, options.min_group)
        self.places, self.counts = _finest(tally)
        self.total = self.counts.sum(axis=0)
        if _small(self.total, self.most).any():
            raise InputError(NOTHING.format(most=self.most))
        self.published: list[IntArray] = []
        self.crosses = options.crosses(self.schema.names)
        self.by = [tuple(self.schema.axis(name) + 1 for name in by) for by in self.crosses]
        axes = range(1, self.places.shape[1])
        kinds = {*self.by, *((axis,) for axis in axes), (0,), tuple(axes), (0, *axes)}
        labels = [self._labels(columns) for columns in kinds if columns]
        firsts = np.cumsum([0, *(own.max(initial=-1) + 1 for own in labels[:-1])])
        self.guarded = np.stack([own + k for own, k in zip(labels, firsts, strict=True)], axis=1)

    def shown(self) -> Shown:
        """Choose the groups of every cross, then the clients, then what clients contribute."""
        ordered = sorted(zip(self.by, self.crosses, strict=True), key=lambda pair: len(pair[0]))
        groups = {by: self._names(columns) for columns, by in ordered if columns}
        if len(self.schema.clients) < 2:
            return Shown(groups)
        clients = self._names((0,), least=1)
        return Shown(
            groups,
            clients,
            {by: self._whole_clients(columns) & clients for columns, by in ordered if columns},
        )

    def allows(self, where: Iterable[tuple[str, str]]) -> bool:
        """Publish a subgroup (columns and values) if the others stay safe."""
        inside = np.ones(len(self.places), np.bool_)
        for name, level in where:
            axis = self.schema.axis(name)
            inside &= self.places[:, axis + 1] == self.schema.axes[axis].levels.index(level)
        if any(_is_group(inside, own) for own in self.published):
            return True
        labels = np.where(inside, 0, NOT_PUBLISHED)
        if _small(self.counts[inside].sum(axis=0), self.most).any():
            return False
        if not self._stands(labels, np.ones(1, np.bool_)):
            return False
        self.published.append(labels)
        return True

    def _labels(self, columns: Sequence[int]) -> IntArray:
        """Number of the group of a cross that every finest group lies in."""
        _, labels = np.unique(self.places[:, list(columns)], axis=0, return_inverse=True)
        return np.asarray(labels.ravel(), np.int64)

    def _names(self, columns: tuple[int, ...], least: int | None = None) -> frozenset[str]:
        labels, kept = self._choose(columns, self.least if least is None else least)
        levels = [self.schema.clients, *(axis.levels for axis in self.schema.axes)]
        firsts = np.unique(labels, return_index=True)[1][kept]
        return frozenset(
            CROSSED.join(levels[column][place[column]] for column in columns)
            for place in self.places[firsts]
        )

    def _whole_clients(self, columns: tuple[int, ...]) -> frozenset[str]:
        """Clients of which every group of a cross can be published."""
        labels, kept = self._choose((0, *columns), 1)
        partly = np.unique(self.places[~kept[labels], 0])
        return frozenset(name for i, name in enumerate(self.schema.clients) if i not in partly)

    def _choose(self, columns: tuple[int, ...], least: int) -> tuple[IntArray, Flags]:
        """Labels of a cross, and which of its groups to publish."""
        labels = self._labels(columns)
        first = np.unique(labels, return_index=True)[1]
        sums = np.zeros((len(first), self.counts.shape[1]), np.int64)
        np.add.at(sums, labels, self.counts)
        rows, place = sums.sum(axis=1), self.places[first][:, list(columns)]
        kept = ~_small(sums, self.most).any(axis=1) & (rows >= least)
        while kept.any():
            hidden = self.total - sums[kept].sum(axis=0)
            if not _small(hidden, self.most).any() and self._stands(labels, kept):
                break
            _withhold(kept, rows, place)
        if kept.any():
            self.published.append(np.where(kept[labels], labels, NOT_PUBLISHED))
        return labels, kept

    def _stands(self, labels: IntArray, kept: Flags) -> bool:
        """Whether no small count is exposed once these groups of a cross are published too."""
        also = np.where(kept[labels], labels, NOT_PUBLISHED)
        published = np.stack([*self.published, also], axis=1)
        return not gives_away(self.counts, published, self.guarded, self.most)


def _is_group(inside: Flags, labels: IntArray) -> bool:
    """Whether these are the finest groups of one published group."""
    label = labels[inside][0]
    return bool(label != NOT_PUBLISHED and ((labels == label) == inside).all())


def _withhold(kept: Flags, rows: IntArray, place: IntArray) -> None:
    """Withhold groups of a cross until none is alone in the margins that it lies in.

    Beside a withheld group another one is withheld in every row and column of the cross, the
    smallest of those that need fewest more; at least one is.
    """
    lines = [place[:, [j]] == place[:, j] for j in range(place.shape[1])]
    while kept.any():
        hidden = np.array([(line & ~kept).sum(axis=1) for line in lines])
        closes = (hidden == 1).sum(axis=0) - (hidden == 0).sum(axis=0)
        order = np.lexsort((rows, -closes))
        kept[order[kept[order]][0]] = False
        if not _alone(lines, kept):
            break


def _alone(lines: list[Flags], kept: Flags) -> bool:
    return len(lines) > 1 and any(((line & ~kept).sum(axis=1) == 1).any() for line in lines)


def _finest(tally: Tally) -> tuple[IntArray, IntArray]:
    """Client and level of every sensitive column of the groups that occur, and their counts."""
    counted, lead = tally.judged, len(tally.schema.group_shape)
    present, table = counted.by_group(lead)
    counts = np.maximum(table[..., 0], 0).astype(np.int64)
    if counts.ndim > 1 and counts.shape[1] > 2:
        right = counts.trace(axis1=1, axis2=2)
        counts = np.stack([right, counts.sum(axis=(1, 2)) - right], axis=1)
    counts = counts.reshape(len(present), int(np.prod(counts.shape[1:])))
    index = np.unravel_index(present, counted.shape[:lead])
    return np.stack(index, axis=1).astype(np.int64), counts


def without_counts(text: str) -> str:
    """A note without its numbers of rows: beside published counts, one could tell a hidden one."""

    def hidden(found: re.Match[str]) -> str:
        return found[0] if _FEWER.search(text[: found.start()].rstrip()) else SOME

    return _N.sub("n withheld", _ROWS.sub(hidden, text))
