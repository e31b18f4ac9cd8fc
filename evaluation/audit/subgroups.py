"""The worst subgroups: a search over all crosses of a few sensitive columns.

Every subgroup of up to `AuditOptions.depth` conditions (column = value) is compared with all other
rows: error rate, and of two classes the false negative and the false positive rate; for a
regression the mean absolute error. Thousands are compared, so the worst *value* would mostly be
that of a small subgroup with bad luck. They are ranked by a lower confidence bound instead, which
is corrected for the number of comparisons (Bonferroni): if all subgroups were served alike, the
chance that any is reported would be at most 1 − level. Which subgroups are compared does not depend
on the predictions.

Rows are counted, weighted or not: no exact limit holds for a weighted rate.

What is reported once is not reported again:

1. A subgroup is dropped unless it is surely worse than the other rows of each wider subgroup (some
   of its conditions) that is itself surely worse than the rest.
2. Going down the ranks, a subgroup is dropped unless it is surely worse without the rows of each
   one listed above it, both being compared with the rows outside (if all its rows are among those:
   unless it is surely worse than the others of them).
3. A subgroup is listed once, by the metric with the highest bound; rules 1 and 2 hold metric by
   metric.

"Surely" is at the corrected level throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Estimate, Subgroup
from evaluation.audit.schema import Schema
from evaluation.audit.sparse import IntArray, SparseCounts
from evaluation.audit.subgroup_bounds import Judge, SumArray
from evaluation.audit.subgroup_cells import (
    Candidates,
    Cells,
    Flags,
    candidates_of,
    cells_of,
    crosses_up_to,
)
from evaluation.audit.tally import Tally
from evaluation.rates import FloatArray

NOTE = (
    "worst subgroups: {candidates:,} subgroups of up to {depth} conditions with at least {least} "
    "rows were searched in {comparisons:,} comparisons; bounds and intervals are corrected for all "
    "of them (Bonferroni), so at a confidence of {level:.3g} none that is listed is chance"
)
WEIGHTED = "; rows are counted there, not weights"


@dataclass(frozen=True)
class SubgroupSearch:
    """Outcome of a search."""

    found: tuple[Subgroup, ...] = ()  # the worst, surely worse than the rest, highest bound first
    candidates: int = 0  # subgroups with enough rows
    comparisons: int = 0  # subgroup and metric: what the bounds are corrected for
    note: str = ""  # how it was searched, in words; empty where nothing was


def search_subgroups(tally: Tally, options: AuditOptions) -> SubgroupSearch:
    """Find the subgroups that are surely served worse than the rest.

    Parameters
    ----------
    tally : Tally
        Counts with at least one sensitive column; else nothing is found.
    options : AuditOptions
        ``depth``, ``min_group`` (rows that a metric rests on, in the subgroup and in the rest),
        ``level`` and ``subgroups``.

    Returns
    -------
    SubgroupSearch
        Of each subgroup the value with an interval that holds for all comparisons together, the
        value of the rest, the bound of the difference, and the share of all errors that would not
        have happened at the rate of the rest.

    Raises
    ------
    InputError
        If the tally holds no counts of its task.
    """
    columns = len(tally.schema.axes)
    if options.depth < 1 or not columns:
        return SubgroupSearch()
    cells, judge = cells_of(tally)
    candidates = candidates_of(cells, judge, options.depth, max(1, options.min_group))
    comparisons = int(candidates.compared.sum())
    found: tuple[Subgroup, ...] = ()
    if comparisons:
        search = _Search(cells, judge, candidates, (1 - options.level) / comparisons)
        listed = search.listed(options.subgroups)
        found = tuple(search.record(tally.schema, *place) for place in listed)
    note = NOTE.format(
        candidates=len(candidates.sums),
        depth=min(options.depth, columns),
        least=max(1, options.min_group),
        comparisons=comparisons,
        level=options.level,
    )
    note += "" if found else "; none is surely worse than the rest"
    note += WEIGHTED if tally.schema.weighted else ""
    return SubgroupSearch(found, len(candidates.sums), comparisons, note)


class _Search:
    """The comparisons of one search, at one corrected level."""

    def __init__(self, cells: Cells, judge: Judge, candidates: Candidates, alpha: float) -> None:
        self.cells, self.judge, self.candidates, self.alpha = cells, judge, candidates, alpha
        self.total = cells.total
        bounds = judge.shortfall(candidates.sums, self.total - candidates.sums, alpha)
        self.bounds: FloatArray = np.where(candidates.compared, bounds, -np.inf)
        self.worse: Flags = self.bounds > 0

    def listed(self, most: int) -> Iterator[tuple[int, int]]:
        """Number and metric of the subgroups to report, worst first."""
        left = self.worse & ~self._explained_by_wider()
        for _ in range(most):
            if not left.any():
                return
            place = int(np.argmax(np.where(left, self.bounds, -np.inf)))
            index, metric = divmod(place, left.shape[1])
            yield index, metric
            left[index] = False
            left &= ~self._explained_by(index, left)

    def _surely(self, own: SumArray, other: SumArray) -> Flags:
        return np.asarray(self.judge.shortfall(own, other, self.alpha) > 0)

    def _explained_by_wider(self) -> Flags:
        """Rule 1, by metric."""
        explained = np.zeros_like(self.worse)
        for columns, own in self.candidates.by_cross(np.flatnonzero(self.worse.any(axis=1))):
            levels, sums = self.candidates.levels(columns, own), self.candidates.sums[own]
            for wider in crosses_up_to(len(columns) - 1, len(columns)):
                parent = tuple(columns[place] for place in wider)
                index, there = self.candidates.find(parent, [levels[c] for c in parent])
                surely = self._surely(sums, self.candidates.sums[index] - sums)
                explained[own] |= there[:, None] & self.worse[index] & ~surely
        return explained

    def _explained_by(self, listed: int, left: Flags) -> Flags:
        """Rule 2, by metric, for those that are left."""
        explained = np.zeros_like(left)
        wrong = self.candidates.sums[listed]
        inside = self.cells.within(self.candidates.where(listed))
        for columns, own in self.candidates.by_cross(np.flatnonzero(left.any(axis=1))):
            sums = self.candidates.sums[own]
            shared = _looked_up(inside.cross(columns), self.candidates.keys(columns, own))
            beyond = self._surely(sums - shared, self.total - wrong - (sums - shared))
            among = self._surely(sums, wrong - sums)
            rows = self.judge.trials
            contained = (rows(shared) == rows(sums)).all(axis=1, keepdims=True)
            explained[own] = self.worse[listed] & ~np.where(contained, among, beyond)
        return explained

    def record(self, schema: Schema, index: int, metric: int) -> Subgroup:
        """One subgroup in full."""
        own = self.candidates.sums[index]
        rows, failures = self.judge.trials, self.judge.failures
        axes = [(schema.axes[column], level) for column, level in self.candidates.where(index)]
        low, high = (float(end[metric]) for end in self.judge.limits(own, self.alpha / 2))
        n, failed = float(rows(own)[metric]), float(failures(own)[metric])
        rest = float(failures(self.total - own)[metric] / rows(self.total - own)[metric])
        return Subgroup(
            where=tuple((axis.name, axis.levels[level]) for axis, level in axes),
            n=int(rows(own)[0]),
            metric=self.judge.metrics[metric],
            estimate=Estimate(failed / n, low, high, int(n), self.judge.how),
            rest=rest,
            shortfall=float(self.bounds[index, metric]),
            explains=(failed - n * rest) / float(failures(self.total)[metric]),
        )


def _looked_up(counted: SparseCounts, keys: IntArray) -> SumArray:
    """Sums of cells by rising keys, 0 where there is no such cell."""
    sums = np.zeros((len(keys), counted.values.shape[1]), counted.values.dtype)
    _, there, at = np.intersect1d(keys, counted.keys, assume_unique=True, return_indices=True)
    sums[there] = counted.values[at]
    return sums
