"""The counts of an audit: all that its metrics need of the rows, and a sum over any split of them.

Classification keeps confusion counts ``[client, *groups, true, predicted]`` and, with scores,
histograms ``[client, *groups, scored class, is it that class, cell of the score]``; regression
keeps sums of errors ``[client, *groups]``. Sums are integers, so merging is exact in any order;
those of weights and errors are in units of a power of two that is fine enough for all rows,
``schema.place``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.exact_sums import BASE
from evaluation.audit.histograms import Grid, equal_bins
from evaluation.audit.leading_bits import Cells
from evaluation.audit.schema import Schema, united
from evaluation.audit.sparse import ExactArray, IntArray, SparseCounts
from evaluation.counts import GroupCounts
from evaluation.errors import InputError

CROSSED = " × "
"""Between the groups of crossed columns."""

EXACT = (
    "scores were counted as they are, which tells those of single rows: count them in bins before "
    "they leave the site, as --bins 1024 does (Python: bins=1024)"
)


@dataclass(frozen=True, eq=False)
class Tally:
    """Mergeable counts under a schema.

    Parameters
    ----------
    schema : Schema
        What the axes mean.
    confusion : SparseCounts or None
        Classification: shape ``(*schema.group_shape, C, C)``; the sums of a cell are its rows, and
        with weights also ``Σw`` and ``Σw²``.
    scores : SparseCounts or None
        Shape ``(*schema.group_shape, S, 2, k)`` with ``S = len(schema.score_classes)``; rows of
        the class (index 1) or not (0), by cell of `grid`; with weights also ``Σw``.
    errors : SparseCounts or None
        Regression: shape ``schema.group_shape``; rows, ``Σe``, ``Σ|e|`` and ``Σe²``.
    cells : Cells or None
        The cells of `scores` where ``schema.bins`` is None.
    """

    schema: Schema
    confusion: SparseCounts | None = None
    scores: SparseCounts | None = None
    errors: SparseCounts | None = None
    cells: Cells | None = None

    @property
    def grid(self) -> Grid:
        """Where the scores lie that `scores` counts."""
        if self.cells is not None:
            return Grid(self.cells.low, self.cells.high)
        return equal_bins(self.schema.bins or 0)

    @property
    def n(self) -> int:
        """Rows."""
        counted = self.confusion or self.errors
        return int(counted.rows.sum()) if counted is not None else 0

    @property
    def judged(self) -> SparseCounts:
        """Counts of the predictions: confusion, or errors of a regression."""
        counted = self.errors if self.schema.task == "regression" else self.confusion
        if counted is None:
            raise InputError("these counts hold no predictions to compare or to search")
        return counted

    def mapped(self, change: Callable[[SparseCounts], SparseCounts]) -> Tally:
        """All counts changed alike."""
        own = (self.confusion, self.scores, self.errors)
        confusion, scores, errors = (None if part is None else change(part) for part in own)
        return replace(self, confusion=confusion, scores=scores, errors=errors)

    def __add__(self, other: Tally) -> Tally:
        """Counts of the rows of both.

        Raises
        ------
        InputError
            If they were counted with different settings.
        """
        schema = united(self.schema, other.schema)
        cells = self.cells
        if cells is not None and other.cells is not None:
            cells = cells.united(other.cells)
        a, b = self.under(schema, cells), other.under(schema, cells)
        return Tally(
            schema,
            _sum(a.confusion, b.confusion),
            _sum(a.scores, b.scores),
            _sum(a.errors, b.errors),
            cells,
        )

    def under(self, schema: Schema, cells: Cells | None = None) -> Tally:
        """The same counts under a schema that has all names of this one (and maybe more).

        `cells` are wider ones for the scores; they stay as they are without.
        """
        maps = [_places(self.schema.clients, schema.clients)]
        for own, wider in zip(self.schema.axes, schema.axes, strict=True):
            maps.append(_places(own.levels, wider.levels))
        classes = _places(self.schema.classes, schema.classes)
        scored = _places(self.schema.score_classes, schema.score_classes)
        lead, c = schema.group_shape, len(schema.classes)
        last, place = schema.bins or 0, np.arange(schema.bins or 0)
        if self.cells is not None:
            cells = cells or self.cells
            last, place = len(cells), self.cells.places(cells)
        finer = self.schema.place - schema.place
        factors = [1, *(BASE ** (finer * power) for power in schema.sums)]

        def moved(
            counted: SparseCounts | None, maps: Sequence[IntArray], shape: Sequence[int]
        ) -> SparseCounts | None:
            if counted is None:
                return None
            own = counted.relabelled(maps, shape)
            width = own.values.shape[1]
            return replace(own, values=own.values * factors[:width]) if finer else own

        return Tally(
            schema,
            moved(self.confusion, [*maps, classes, classes], (*lead, c, c)),
            moved(
                self.scores,
                [*maps, scored, np.arange(2), place],
                (*lead, len(schema.score_classes), 2, last),
            ),
            moved(self.errors, maps, lead),
            cells,
        )

    def refuse_exact_scores(self) -> None:
        """Let no counts leave a site that tell the scores of single rows."""
        if self.schema.bins is None:
            raise InputError(EXACT)

    def counts(self, by: Sequence[str]) -> GroupCounts:
        """Confusion counts of the cross of some sensitive columns, over all clients.

        Parameters
        ----------
        by : sequence of str
            Columns; none: one group ``all``.

        Returns
        -------
        GroupCounts
            Groups with at least one row, named by their values with " × " between.

        Raises
        ------
        InputError
            If there is no such column, or the task is regression.
        """
        if self.confusion is None:
            raise InputError("a regression has no confusion counts; audit its errors instead")
        table, names = self.grouped(self.confusion, by)
        values = table[..., 0].astype(np.int64)
        return GroupCounts(values, names, self.schema.classes)

    def grouped(
        self, counted: SparseCounts, by: Sequence[str]
    ) -> tuple[ExactArray, tuple[str, ...]]:
        """Any of the counts, by group: ``[groups, …, sums]`` and the groups' names.

        Only groups with at least one row are there, in the order of the axes' levels. Sums are rows
        and, with weights or errors, integers of any size: `evaluation.audit.exact_sums` makes
        numbers of them (`weights_of`).
        """
        axes = [1 + self.schema.axis(name) for name in by]
        rest = range(len(self.schema.group_shape), len(counted.shape))
        # The leading axis of clients is summed over by leaving it out.
        present, table = counted.marginal([*axes, *rest]).by_group(len(axes))
        return table, tuple(self.group_name(by, int(key)) for key in present)

    def group_name(self, by: Sequence[str], key: int) -> str:
        """Name of a cell, by its row-major index, of the cross of some sensitive columns."""
        if not by:
            return "all"
        levels = [self.schema.axes[self.schema.axis(name)].levels for name in by]
        index = np.unravel_index(key, tuple(map(len, levels)))
        return CROSSED.join(own[int(i)] for own, i in zip(levels, index, strict=True))


def _places(own: Sequence[str], wider: Sequence[str]) -> NDArray[np.int64]:
    return np.array([list(wider).index(name) for name in own], np.int64)


def _sum(a: SparseCounts | None, b: SparseCounts | None) -> SparseCounts | None:
    if a is None or b is None:
        return a or b
    return a + b
