"""Histograms of scores of the groups to compare, taken from a `Tally`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.audit.options import AuditOptions
from evaluation.audit.schema import WEIGHT_UNIT, Schema
from evaluation.audit.shown import ALL, Shown
from evaluation.audit.sparse import IntArray
from evaluation.audit.tally import Tally
from evaluation.rates import FloatArray


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Histograms by group; the last one is of all groups that are too small to compare.

    Parameters
    ----------
    by, scored
        Columns, and the class whose score it is.
    groups : tuple of str
        Compared groups: the first of the histograms.
    rows : ndarray of int64, shape (n_groups + 1, 2, bins)
        Rows that are not (0) and that are (1) of the class.
    weights : ndarray of float64, same shape
        Sums of weights; the rows where there are none.
    """

    by: tuple[str, ...]
    scored: str
    groups: tuple[str, ...]
    rows: IntArray
    weights: FloatArray

    @property
    def compared(self) -> FloatArray:
        """Weights of the compared groups, shape ``(n_groups, 2, bins)``."""
        return self.weights[:-1]

    @property
    def overall(self) -> FloatArray:
        """Weights of all rows, shape ``(2, bins)``."""
        return np.asarray(self.weights.sum(axis=0))


def crosses(schema: Schema, options: AuditOptions) -> tuple[tuple[str, ...], ...]:
    """Columns to cross: as asked, else each sensitive column and the cross of all."""
    names = tuple(axis.name for axis in schema.axes)
    if options.by:
        return options.by
    singles = tuple((name,) for name in names)
    return (*singles, names) if len(names) > 1 else singles


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
    counted, names = tally.grouped(tally.scores, by)
    if not names:
        return None
    of_class = np.maximum(counted[:, tally.schema.score_classes.index(scored)], 0)
    rows = of_class[..., 0]
    weights = of_class[..., 1] * WEIGHT_UNIT if tally.schema.weighted else rows.astype(np.float64)
    size = rows.sum(axis=(1, 2))
    if not size.any():
        return None
    large = (size >= max(options.min_group, 1)) & shown.mask(by, names)
    return ScoreTable(
        by=tuple(by),
        scored=scored,
        groups=tuple(name for name, keep in zip(names, large, strict=True) if keep),
        rows=np.concatenate([rows[large], rows[~large].sum(axis=0, keepdims=True)]),
        weights=np.concatenate([weights[large], weights[~large].sum(axis=0, keepdims=True)]),
    )
