"""What a site's data came to: rows read, used, left out and why. It stays at the site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairfed.data.saying import used_of
from fairfed.data.table import LabelledTable

Counts = Mapping[str, int]


@dataclass(frozen=True)
class DataReport:
    """What became of the rows of a source."""

    # The source, and what its rows are called, in the plural.
    where: str
    unit: str
    read: int  # rows of the source
    # Rows that are not used, by why; with what is used they are all that were read.
    left_out: Counts
    # Rows among these whose label is mapped to none, or which the federation does not know; by the
    # site's own label.
    emptied: Counts
    unknown: Counts
    # By sensitive column, rows in use that have a value of the site's own and yet count as
    # `missing`; by that value.
    missing: Mapping[str, Counts]
    lacking: tuple[str, ...]  # sensitive columns of the federation that the site lacks
    # By table of site.toml, the federation's names of what the site calls otherwise; and names in
    # it that no row has.
    called: Mapping[str, Mapping[str, str]]
    unused: Mapping[str, tuple[str, ...]]
    # The federation's.
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    # Rows in use, ``[n_classes][n_groups]``.
    train: tuple[tuple[int, ...], ...]
    test: tuple[tuple[int, ...], ...]

    @property
    def used(self) -> int:
        """Rows in use, to train or to test on."""
        return self.read - sum(self.left_out.values())

    def lines(self) -> list[str]:
        """What a person should know, a sentence a line."""
        lines = [used_of(self.read, self.unit, self.left_out)]
        for setting, names in self.called.items():
            if names:
                pairs = ", ".join(f"{own} → {name}" for own, name in sorted(names.items()))
                lines.append(f"data.{setting}: {pairs}")
        if self.emptied:
            lines.append(f"labels that data.labels leaves out: {_listed(self.emptied)}")
        if self.unknown:
            lines.append(f"labels that the federation does not know: {_listed(self.unknown)}")
        for column, values in self.missing.items():
            if values:
                lines.append(f"values of {column} that count as missing: {_listed(values)}")
        for column in self.lacking:
            lines.append(f"no column for {column}: all {self.unit} count as missing")
        for setting, nobodys in self.unused.items():
            if nobodys:
                lines.append(f"data.{setting} has names that no row has: {', '.join(nobodys)}")
        return lines


def _listed(counts: Counts) -> str:
    return ", ".join(f"{name!r} ({count:,})" for name, count in sorted(counts.items()))


def cell_counts(table: LabelledTable, chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[
    tuple[int, ...], ...
]:  # fmt: skip
    """Rows among the chosen ones by class and group, as plain numbers."""
    return tuple(tuple(row) for row in table.cells(np.flatnonzero(chosen)).tolist())
