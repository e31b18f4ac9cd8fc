"""What an audit shall compute, and what of it may be published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import REPLICATES
from evaluation.intervals import LEVEL


@dataclass(frozen=True)
class AuditOptions:
    """Settings of an audit of a `Tally`; counting has its own (`evaluation.audit.read`).

    Parameters
    ----------
    by : tuple of tuple of str
        Crosses of sensitive columns to compare groups of. Empty: each column, and the cross of all.
    metrics : tuple of str
        Names of `evaluation.audit.metrics.BY_GROUP`; empty: all that the task has.
    across : {"macro", "worst"}
        How more than two classes become one number.
    min_group : int
        Rows below which a group is not compared: it is listed as suppressed. At least 1.
    replicates, level, seed
        Of the bootstrap: replicates (0: no intervals), confidence level in (0, 1), seed.
    power : float
        Of the minimum detectable gap, in (0, 1).
    depth : int
        Columns that a searched subgroup crosses at most; 0: no search.
    subgroups : int
        Subgroups that are reported.
    redact : int
        Counts from 1 to this shall not be derivable from the audit; see
        `evaluation.audit.disclosure`. 0: everything is told.
    """

    by: tuple[tuple[str, ...], ...] = ()
    metrics: tuple[str, ...] = ()
    across: Literal["macro", "worst"] = "macro"
    min_group: int = 20
    replicates: int = REPLICATES
    level: float = LEVEL
    seed: int = 0
    power: float = 0.8
    depth: int = 3
    subgroups: int = 10
    redact: int = 0

    def crosses(self, columns: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Columns to cross: as asked, else each sensitive column and the cross of all."""
        singles = tuple((name,) for name in columns)
        return self.by or ((*singles, columns) if len(columns) > 1 else singles)


@dataclass(frozen=True)
class Shown:
    """What may be published."""

    groups: dict[tuple[str, ...], frozenset[str]] | None = None  # by cross of columns; None: all
    clients: frozenset[str] = frozenset()  # whose accuracy may be known
    # by cross, clients that may be compared with the others group by group
    contributing: dict[tuple[str, ...], frozenset[str]] = field(default_factory=dict)

    def mask(self, by: tuple[str, ...], names: Sequence[str]) -> NDArray[np.bool_]:
        """Which of these groups of a cross may be published."""
        if self.groups is None:
            return np.ones(len(names), np.bool_)
        own = self.groups.get(tuple(by), frozenset())
        return np.array([name in own for name in names], np.bool_)

    def clients_mask(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Clients whose accuracy may be published."""
        return np.array([self.groups is None or name in self.clients for name in names], np.bool_)

    def contributes(self, by: tuple[str, ...], client: str) -> bool:
        """Whether a client's part of a cross may be published."""
        return self.groups is None or client in self.contributing.get(tuple(by), frozenset())


ALL = Shown()
