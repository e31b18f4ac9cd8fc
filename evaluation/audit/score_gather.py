"""Histograms of scores, while rows are read: exact as far as they fit, or in equal bins.

Exact ones serve any numbers: cut points at quantiles are found from them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.audit.columns import Floats
from evaluation.audit.gather import Gather
from evaluation.audit.histograms import place
from evaluation.audit.leading_bits import Cells, codes_of, joined, places, present, surplus
from evaluation.audit.sparse import IntArray, SparseCounts


class ScoreGather:
    """Counts of rows by score, the last axis.

    Scores are numbered as they appear; where they become too many, neighbours get one number, as in
    `evaluation.audit.leading_bits`.

    Parameters
    ----------
    bins : int or None
        Equal bins of [0, 1]; None: scores as they are.
    sums : Gather
        What counts.
    """

    def __init__(self, bins: int | None, sums: Gather) -> None:
        self._bins, self._sums = bins, sums
        self._codes: IntArray = np.zeros(0, np.int64)
        self._dropped = 0
        self._lead: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        """Of the last axis."""
        return len(self._codes) if self._bins is None else self._bins

    def add(
        self, lead: Sequence[int], flat: IntArray, scores: Floats, weights: Floats | None
    ) -> None:
        """Count rows.

        Parameters
        ----------
        lead : sequence of int
            Size of every axis but that of the scores.
        flat : ndarray of int64, shape (n,)
            Cell of each row among these.
        scores : ndarray of float64, shape (n,)
            Finite; in [0, 1] where bins are counted.
        weights : ndarray of float64, optional
            As `Gather.add` takes them.
        """
        numbers = self._numbers(scores) if self._bins is None else place(scores, self._bins)
        self._lead = tuple(lead)
        self._sums.add((*lead, self.size), flat * self.size + numbers, weights)

    def counts(self, lead: Sequence[int]) -> tuple[SparseCounts, Cells | None]:
        """All counts under the final sizes of the leading axes, and what the last axis stands for.

        Without cells these are equal bins.
        """
        if self._bins is not None:
            return self._sums.counts((*lead, self._bins)), None
        order = np.argsort(self._codes)
        ranks = np.empty_like(order)
        ranks[order] = np.arange(len(order))
        sizes = self._sums.renumber((*lead, self.size), ranks)
        return self._sums.counts(sizes), Cells(self._codes[order], self._dropped)

    def _numbers(self, scores: Floats) -> IntArray:
        """Number of the cell of every score, after room was made for it."""
        codes = codes_of(scores) >> self._dropped
        known = np.sort(self._codes)
        wider = joined(known, present(codes))
        extra = surplus(wider)
        if extra:
            self._coarsen(extra)
            return self._numbers(scores)
        new = np.ones(len(wider), np.bool_)
        new[places(known, wider)] = False
        self._codes = np.concatenate([self._codes, wider[new]])
        return np.argsort(self._codes)[places(codes, wider)]

    def _coarsen(self, extra: int) -> None:
        coarse, numbers = np.unique(self._codes >> extra, return_inverse=True)
        if self._lead is not None:
            self._sums.renumber((*self._lead, self.size), numbers)
        self._codes, self._dropped = coarse, self._dropped + extra
