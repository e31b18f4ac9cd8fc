"""Which synthetic images are kept: checks calibrated on real images, in a fixed order."""

from __future__ import annotations

from generators.curation.judge import Judge, Pool
from generators.curation.limits import Threshold
from generators.curation.references import GroupReading, References
from generators.curation.settings import CHECKS, REASONS, Curation, max_candidates

__all__ = [
    "CHECKS",
    "REASONS",
    "Curation",
    "GroupReading",
    "Judge",
    "Pool",
    "References",
    "Threshold",
    "max_candidates",
]
