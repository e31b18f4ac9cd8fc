"""What was done to the counts of a site before they left it; a counts file says it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Mechanism = Literal["none", "discrete laplace", "discrete gaussian"]


@dataclass(frozen=True)
class Release:
    """How counts were protected."""

    mechanism: Mechanism = "none"  # of the noise on every cell; ``none``: counts are exact
    epsilon: float = 0.0  # differential privacy of every row (added or removed); 0 without noise
    delta: float = 0.0  # 0 for Laplace
    deviation: float = 0.0  # standard deviation of the noise on a cell, rounded
    # cells that one row changes, each by 1: its confusion cell, and one for every scored class
    touched: int = 0
    cells: int = 0  # that got noise: all of the declared cross, occupied or not
    min_cell: int = 0  # cells with fewer rows than this were left out; 0: none were
    dropped_cells: int = 0  # how many that were, rounded up to multiples of `min_cell`
    dropped_rows: int = 0  # rows in them, likewise

    @property
    def noised(self) -> bool:
        """Whether counts carry noise, and may be negative."""
        return self.mechanism != "none"

    def words(self) -> str:
        """A sentence for the report."""
        if self.noised:
            budget = f"ε = {self.epsilon:g}" + (f", δ = {self.delta:g}" if self.delta else "")
            return (
                f"{self.mechanism} noise, {budget}, standard deviation {self.deviation:g} on each "
                f"of {self.cells:,} cells"
            )
        if self.min_cell:
            return (
                f"cells with fewer than {self.min_cell} rows left out: up to "
                f"{self.dropped_cells:,} cells with {self.dropped_rows:,} rows"
            )
        return "exact counts"


def release_notes(releases: Sequence[Release]) -> tuple[str, ...]:
    """What a reader of an audit must know about the counts that it rests on, by site."""
    notes = [
        f"{number} of {len(releases)} sites released {release.words()}."
        for release, number in Counter(releases).items()
        if release != Release()
    ]
    least = max((release.min_cell for release in releases), default=0)
    if least:
        notes.append(
            "Where small cells were left out, a count of 0 may be any number below "
            f"{least}: rates of small groups, above all those of 0 and 1, may be off by as much."
        )
    noised = [release for release in releases if release.noised]
    if noised:
        spread = math.sqrt(sum(release.deviation**2 for release in noised))
        notes.append(
            f"A merged cell carries noise of standard deviation {spread:.3g} that the intervals "
            "and tests do not include: they state the uncertainty of the sample alone."
        )
        notes.append(
            "Negative noised cells were set to 0 and what that added was taken off the others, so "
            "that the total stays what the sites released."
        )
    return tuple(notes)
