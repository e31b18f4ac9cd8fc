"""What an image must fulfil: the checks, their order, and their settings."""

from __future__ import annotations

import math
from dataclasses import dataclass

from semantic.errors import InputError

REASONS = {
    "corrupt": "no image at all: not finite, or of the wrong type or shape",
    "black": "black, as a safety checker leaves it, or arithmetic that overflows",
    "blank": "nearly one flat colour",
    "margin": "CLIP reads another class or group in it",
    "attributes": "CLIP does not see the attributes of its class",
    "duplicate": "nearly the same as an image that was accepted before",
    "memorised": "closer to a real training image than real images are to each other",
}
"""Reasons to reject an image, in the order in which they are looked for; the first one counts."""

CHECKS = tuple(REASONS)
"""All checks, in their order."""


@dataclass(frozen=True)
class Curation:
    """What an image must fulfil, and how often one may be replaced.

    Attributes
    ----------
    margin
        Least margin of its CLIP score for its cell over all others, in nats. Where enough real
        images of the cell are at hand, less is asked if they show less: see `quantile`.
    max_tries
        Images judged at most, as a multiple of those wanted, at least 1.
    checks
        Reasons of `CHECKS` that are looked for.
    quantile
        Share of real images that a calibrated threshold on margin or attributes may fail,
        in (0, 0.5].
    closeness
        Share of real images that are closer to another one than a calibrated threshold on
        distances, in (0, 0.5].
    minimum
        Real images that a calibrated threshold needs, at least 2.

    Raises
    ------
    InputError
        If a check is unknown or a number is out of its range.
    """

    margin: float = 0.0
    max_tries: float = 2.0
    checks: tuple[str, ...] = ("blank", "margin")
    quantile: float = 0.05
    closeness: float = 0.01
    minimum: int = 20

    def __post_init__(self) -> None:
        unknown = [name for name in self.checks if name not in CHECKS]
        if unknown:
            raise InputError(
                f"curation.checks: {unknown[0]!r} is unknown; choose from {', '.join(CHECKS)}"
            )
        for name in ("quantile", "closeness"):
            if not 0 < getattr(self, name) <= 0.5:
                raise InputError(f"curation.{name} is {getattr(self, name)}; give one in (0, 0.5]")
        if self.max_tries < 1:
            raise InputError(f"curation.max_tries is {self.max_tries}; give at least 1")
        if self.minimum < 2:
            raise InputError(f"curation.minimum is {self.minimum}; give at least 2")


def max_candidates(wanted: int, max_tries: float) -> int:
    """Images judged at most where so many are wanted.

    50 times 1.1 is 55, also where its product in floating point is a little more.
    """
    return math.ceil(round(wanted * max_tries, 9))
