"""Histograms of scores of the groups to compare, taken from a `Tally`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.exact_sums import relative_weights
from evaluation.audit.histograms import Grid
from evaluation.audit.options import ALL, AuditOptions, Shown
from evaluation.audit.schema import Schema
from evaluation.audit.sparse import IntArray, SparseCounts
from evaluation.audit.tally import Tally
from evaluation.rates import FloatArray


@dataclass(frozen=True, eq=False)
class Histogram:
    """Scores of some rows, in the `k` cells that these occupy."""

    grid: Grid
    rows: IntArray  # ``(2, k)``: rows that are not (0) and that are (1) of the class
    weights: FloatArray  # sums, relative to the mean weight; the rows where there are none

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.rows.sum())

    @property
    def mean_weights(self) -> FloatArray:
        """Of a row of each cell; 0 without rows."""
        return np.asarray(self.weights / np.maximum(self.rows, 1))


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Histograms by group."""

    by: tuple[str, ...]
    scored: str  # the class whose score it is
    groups: tuple[str, ...]  # that are compared
    compared: tuple[Histogram, ...]  # of each of them
    pooled: Histogram  # of all of them together
    overall: Histogram  # of all rows, those of groups too small to compare among them


def scored_classes(schema: Schema) -> tuple[str, ...]:
    """Classes whose scores are judged: of two classes the positive one alone says it all."""
    scored = schema.score_classes
    return scored[-1:] if len(schema.classes) <= 2 else scored


def score_table(
    tally: Tally, by: tuple[str, ...], scored: str, options: AuditOptions, shown: Shown = ALL
) -> ScoreTable | None:
    """Histograms of a class's scores by group; None where no row has one.

    Counts that noise made negative are taken as 0.
    """
    if tally.scores is None:
        return None
    counted = _of_class(tally, tally.scores, by, scored)
    if not len(counted.keys):
        return None
    *_, side, cell = counted.index()
    present, group = np.unique(counted.keys // (2 * counted.shape[-1]), return_inverse=True)
    names = [tally.group_name(by, int(key)) for key in present]
    rows, weights = counted.rows, relative_weights(counted.values, group)
    large = np.bincount(group, rows) >= max(options.min_group, 1)
    large &= shown.mask(by, names)
    grid = tally.grid

    def histogram(part: slice | NDArray[np.bool_]) -> Histogram:
        cells, place = np.unique(cell[part], return_inverse=True)
        flat, size = side[part] * len(cells) + place, 2 * len(cells)
        counted, weighed = (
            np.bincount(flat, own[part], size).reshape(2, -1) for own in (rows, weights)
        )
        held = grid.take(cells)
        return Histogram(held, counted.astype(np.int64), np.asarray(weighed, np.float64))

    # Keys increase, so the cells of a group stand together.
    ends = np.searchsorted(group, np.arange(len(present) + 1))
    return ScoreTable(
        by=tuple(by),
        scored=scored,
        groups=tuple(names[i] for i in np.flatnonzero(large)),
        compared=tuple(histogram(slice(ends[i], ends[i + 1])) for i in np.flatnonzero(large)),
        pooled=histogram(large[group]),
        overall=histogram(slice(None)),
    )


def _of_class(tally: Tally, scores: SparseCounts, by: tuple[str, ...], scored: str) -> SparseCounts:
    """Counts ``[*groups, is it the class, cell]`` of one class's scores, where there are rows."""
    lead = len(tally.schema.group_shape)
    own = scores.some(scores.along(lead) == tally.schema.score_classes.index(scored))
    axes = [1 + tally.schema.axis(name) for name in by]
    found = own.marginal([*axes, lead + 1, lead + 2])
    return found.some(found.values[:, 0] > 0)
