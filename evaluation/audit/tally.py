"""The counts of an audit: all that its metrics need of the rows, and a sum over any split of them.

Classification keeps confusion counts ``[client, *groups, true, predicted]`` and, with scores,
histograms ``[client, *groups, scored class, is it that class, bin]``; regression keeps sums of
errors ``[client, *groups]``. Sums are integers, so merging is exact in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.schema import Schema, united
from evaluation.audit.sparse import IntArray, SparseCounts
from evaluation.counts import GroupCounts
from evaluation.errors import InputError

CROSSED = " × "
"""Between the groups of crossed columns."""


@dataclass(frozen=True, eq=False)
class Tally:
    """Mergeable counts under a schema.

    Parameters
    ----------
    schema : Schema
        What the axes mean.
    confusion : SparseCounts or None
        Classification: shape ``(*schema.group_shape, C, C)``; the sums of a cell are its rows, and
        with weights also ``Σw`` and ``Σw²``, each addend rounded to a multiple of `WEIGHT_UNIT`.
    scores : SparseCounts or None
        Shape ``(*schema.group_shape, S, 2, bins)`` with ``S = len(schema.score_classes)``; rows of
        the class (index 1) or not (0), by bin; with weights also ``Σw`` and ``Σw²``.
    errors : SparseCounts or None
        Regression: shape ``schema.group_shape``; rows, ``Σe``, ``Σ|e|`` in `schema.unit`, and
        ``Σe²`` in `schema.unit` (each square rounded to it).
    """

    schema: Schema
    confusion: SparseCounts | None = None
    scores: SparseCounts | None = None
    errors: SparseCounts | None = None

    @property
    def n(self) -> int:
        """Rows."""
        counted = self.confusion or self.errors
        return int(counted.values[:, 0].sum()) if counted is not None else 0

    def __add__(self, other: Tally) -> Tally:
        """Counts of the rows of both.

        Raises
        ------
        InputError
            If they were counted with different settings.
        """
        schema = united(self.schema, other.schema)
        a, b = self.under(schema), other.under(schema)
        return Tally(
            schema,
            _sum(a.confusion, b.confusion),
            _sum(a.scores, b.scores),
            _sum(a.errors, b.errors),
        )

    def under(self, schema: Schema) -> Tally:
        """The same counts under a schema that has all names of this one (and maybe more)."""
        maps = [_places(self.schema.clients, schema.clients)]
        for own, wider in zip(self.schema.axes, schema.axes, strict=True):
            maps.append(_places(own.levels, wider.levels))
        classes = _places(self.schema.classes, schema.classes)
        scored = _places(self.schema.score_classes, schema.score_classes)
        lead, c, bins = schema.group_shape, len(schema.classes), schema.bins
        same, side = np.arange(bins), np.arange(2)
        return Tally(
            schema,
            _moved(self.confusion, [*maps, classes, classes], (*lead, c, c)),
            _moved(
                self.scores,
                [*maps, scored, side, same],
                (*lead, len(schema.score_classes), 2, bins),
            ),
            _moved(self.errors, maps, lead),
        )

    def counts(self, by: Sequence[str], client: str | None = None) -> GroupCounts:
        """Confusion counts of the cross of some sensitive columns.

        Parameters
        ----------
        by : sequence of str
            Columns; none: one group ``all``.
        client : str, optional
            Of this client alone; all together otherwise.

        Returns
        -------
        GroupCounts
            Groups with at least one row, named by their values with " × " between.

        Raises
        ------
        InputError
            If there is no such column or client, or the task is regression.
        """
        table, names = self.grouped(self._confusion(), by, client)
        values = table[..., 0]
        return GroupCounts(values, names, self.schema.classes)

    def grouped(
        self, counted: SparseCounts, by: Sequence[str], client: str | None = None
    ) -> tuple[IntArray, tuple[str, ...]]:
        """Any of the counts, by group: ``[groups, …, sums]`` and the groups' names.

        Only groups with at least one row are there, in the order of the axes' levels.
        """
        lead = len(self.schema.group_shape)
        rest = list(range(lead, len(counted.shape)))
        chosen = counted if client is None else _only(counted, self._client(client))
        axes = [1 + self.schema.axis(name) for name in by]
        # The leading axis of clients is summed over by leaving it out; an axis of size 1 stands in
        # where nothing would be left.
        kept = chosen.marginal([*axes, *rest]) if axes or rest else _total(chosen)
        sizes = kept.shape[: len(axes)]
        tail = kept.shape[len(axes) :]
        width = int(np.prod(tail, dtype=np.int64))
        group, inner = np.divmod(kept.keys, max(width, 1))
        present, place = np.unique(group, return_inverse=True)
        table = np.zeros((len(present), max(width, 1), kept.values.shape[1]), np.int64)
        table[place.ravel(), inner] = kept.values
        names = tuple(self.group_name(by, sizes, int(key)) for key in present) if by else ("all",)
        return table.reshape(len(table), *tail, table.shape[-1]), names if len(table) else ()

    def group_name(self, by: Sequence[str], sizes: Sequence[int], key: int) -> str:
        """Name of a group of a cross from its row-major index."""
        index = np.unravel_index(key, tuple(sizes))
        levels = [self.schema.axes[self.schema.axis(name)].levels for name in by]
        return CROSSED.join(own[int(i)] for own, i in zip(levels, index, strict=True))

    def _confusion(self) -> SparseCounts:
        if self.confusion is None:
            raise InputError("a regression has no confusion counts; audit its errors instead")
        return self.confusion

    def _client(self, name: str) -> int:
        if name not in self.schema.clients:
            known = ", ".join(self.schema.clients)
            raise InputError(f"no client {name!r}; there are: {known}")
        return self.schema.clients.index(name)


def _only(counted: SparseCounts, client: int) -> SparseCounts:
    keep = counted.index()[0] == client
    return SparseCounts(counted.shape, counted.keys[keep], counted.values[keep])


def _total(counted: SparseCounts) -> SparseCounts:
    zeros = np.zeros(len(counted.keys), np.int64)
    return SparseCounts.collect((1,), zeros, counted.values)


def _places(own: Sequence[str], wider: Sequence[str]) -> NDArray[np.int64]:
    return np.array([list(wider).index(name) for name in own], np.int64)


def _moved(
    counted: SparseCounts | None, maps: Sequence[NDArray[np.int64]], shape: Sequence[int]
) -> SparseCounts | None:
    return None if counted is None else counted.relabelled(maps, shape)


def _sum(a: SparseCounts | None, b: SparseCounts | None) -> SparseCounts | None:
    if a is None or b is None:
        return a or b
    return a + b
