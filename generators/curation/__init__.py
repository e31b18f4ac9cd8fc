"""Which synthetic images are kept: checks calibrated on real images, in a fixed order."""

from __future__ import annotations

from generators.curation.groups import GroupReading
from generators.curation.judge import Judge
from generators.curation.limits import Threshold
from generators.curation.pool import Pool
from generators.curation.references import References
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
