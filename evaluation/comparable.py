"""What is large enough, and known well enough, to be compared.

A group with an unknown sensitive value is no group of people, and of a handful of rows any rate can
come out: neither enters a gap or a worst case. They are listed with their numbers all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.rates import CountArray, FloatArray
from evaluation.records import Run

LEAST_ROWS = 20
"""Test rows that a group, or a class × group cell, must have to be compared, as in audits."""

Metric = Callable[[CountArray], FloatArray]


@dataclass(frozen=True, eq=False)
class Comparable:
    """What enters a comparison: known groups, and their cells, with enough test rows.

    `groups` has the shape ``(n_groups,)``, `cells` ``(n_groups, n_classes)``.
    """

    groups: NDArray[np.bool_]
    cells: NDArray[np.bool_]

    def by_group(self, metric: Metric) -> Metric:
        """Let a metric of whole groups see those alone that are compared."""
        return lambda counts: metric(counts * self.groups[:, None, None])

    def by_cell(self, metric: Metric) -> Metric:
        """Let a metric of class × group cells see those alone that are compared."""
        return lambda counts: metric(counts * self.cells[:, :, None])


def comparable(run: Run, *counts: CountArray) -> Comparable:
    """Say what can be compared within, or between, some counts ``[group, true, predicted]``."""
    rows = np.min([each.sum(axis=2) for each in counts], axis=0)
    known = np.array([name not in run.unknown for name in run.groups])
    groups = known & (rows.sum(axis=1) >= LEAST_ROWS)
    return Comparable(groups, groups[:, None] & (rows >= LEAST_ROWS))


def left_out(run: Run, counts: CountArray) -> str:
    """What is in no gap and in no worst case, in words; empty if all is."""
    kept, rows = comparable(run, counts), counts.sum(axis=2)
    groups = [
        f"{name} ({'value unknown' if name in run.unknown else f'n = {n}'})"
        for name, n, in_ in zip(run.groups, rows.sum(axis=1), kept.groups, strict=True)
        if not in_ and (n or name in run.unknown)
    ]
    small = int((kept.groups[:, None] & ~kept.cells & (rows > 0)).sum())
    parts = [*groups, f"{small} class × group cells" if small else ""]
    listed = ", ".join(filter(None, parts))
    if not listed:
        return ""
    return (
        f"In no gap and no worst case, for want of a known group or of {LEAST_ROWS} test "
        f"{run.unit}: {listed}."
    )
