"""Whether CLIP can see the sensitive group in real images at all.

A margin over cells that differ in the group alone means nothing where it cannot.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from generators.curation.distances import Floats, Indices
from semantic.naming import UNNAMED_GROUPS

SIGNIFICANCE = 0.05
"""CLIP sees the group if chance alone would agree as often with less than this probability."""


@dataclass(frozen=True)
class GroupReading:
    """How well CLIP tells the groups of real images apart, their class given.

    Attributes
    ----------
    n
        Real images of named groups.
    tested
        Whether there was anything to test: enough images, of at least two named groups. The
        following are None otherwise.
    accuracy
        Share of them whose group CLIP reads correctly.
    chance
        Share that would agree if what CLIP reads and what is there were independent: the sum over
        the groups of the product of both frequencies (the expected agreement of Cohen's kappa,
        1960), so that always reading the most frequent group is no skill.
    p_value
        One-sided exact binomial test of `accuracy` against `chance`.
    """

    n: int
    tested: bool = False
    accuracy: float | None = None
    chance: float | None = None
    p_value: float | None = None

    @property
    def visible(self) -> bool:
        """Whether margins may compare groups: true unless the test has shown no skill."""
        return self.p_value is None or self.p_value < SIGNIFICANCE

    def to_json(self) -> dict[str, float | int | bool | None]:
        """As JSON."""
        return {**asdict(self), "visible": self.visible}


def read_groups(
    scores: Floats, labels: Indices, groups: Indices, names: tuple[str, ...], minimum: int
) -> GroupReading:
    """Test CLIP's reading of the groups of real images, by log-probabilities of the cells.

    Images of `UNNAMED_GROUPS` are left out; a test needs `minimum` others.
    """
    from scipy.stats import binomtest

    named = np.array([i for i, name in enumerate(names) if name not in UNNAMED_GROUPS], np.int64)
    rows = np.flatnonzero(np.isin(groups, named))
    if len(rows) < minimum or len(np.unique(groups[rows])) < 2:
        return GroupReading(len(rows))
    read = named[scores[rows, labels[rows]][:, named].argmax(1)]
    shares = [
        np.bincount(which, minlength=len(names)) / len(rows) for which in (read, groups[rows])
    ]
    chance = min(float(shares[0] @ shares[1]), 1.0)
    hits = int((read == groups[rows]).sum())
    p_value = float(binomtest(hits, len(rows), chance, "greater").pvalue)
    return GroupReading(len(rows), True, hits / len(rows), chance, p_value)
