"""A verdict in words on how far synthetic images resemble real ones.

Of three measures over all filled cells, each against what real images would reach: KID against what
chance alone stays under; precision, the share of synthetic images among real ones; coverage, the
share of real images with a synthetic one near.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from evaluation.quality.measured import Measured

Level = Literal["alike", "apart", "unlike", "unknown"]

FAR = 0.25
"""Coverage below this part of what new real images reach is that of other images."""
FEW = 0.2
"""Precision below this is that of other images: hardly one lies among the real ones."""


@dataclass(frozen=True)
class Verdict:
    """What to think of the synthetic images, and a sentence that says it.

    ``alike``: within chance. ``apart``: beyond chance, though they share ground. ``unlike``: hardly
    any of one kind lies near one of the other. ``unknown``: too few images.
    """

    level: Level
    words: str


def verdict(
    overall: Mapping[str, Measured], cells: Mapping[str, Mapping[str, Measured]]
) -> Verdict:
    """Judge the measures of all filled cells together, and of each, as a `QualityReport` has them.

    Together they also differ where the two kinds hold the cells in other shares, which is no fault:
    if every cell with images enough is within chance, so is the verdict.
    """
    kid, precision, coverage = (overall[name] for name in ("kid", "precision", "coverage"))
    if kid.value is None or kid.chance is None:
        why = kid.reason or "no chance level is known"
        return Verdict("unknown", f"Whether they resemble real ones cannot be said: {why}.")
    alone = [own["kid"] for own in cells.values() if own["kid"].value is not None]
    if not _beyond(kid) or (alone and not any(map(_beyond, alone))):
        return Verdict("alike", "CLIP sees no difference beyond chance from your real images.")
    numbers = f"KID {kid.value:.2f}, by chance at most {kid.chance:.2f}"
    within = [f"{100 * m.value:.0f} % {what}" for m, what in (
        (precision, "lie among real ones"), (coverage, "of the real ones have one near"),
    ) if m.value is not None]  # fmt: skip
    numbers = "; ".join([numbers, *within])
    if _below(precision.value, FEW) or _below(coverage.value, FAR * (coverage.expected or 1.0)):
        return Verdict(
            "unlike",
            f"These images do not resemble your real ones ({numbers}): do not train on them. Look "
            "at them; the generator does not know such images, or the prompts say too little.",
        )
    return Verdict(
        "apart",
        f"These images differ from your real ones beyond chance ({numbers}): measure on real test "
        "images whether training on them helps.",
    )


def _beyond(kid: Measured) -> bool:
    return kid.value is not None and kid.chance is not None and kid.value > kid.chance


def _below(value: float | None, limit: float) -> bool:
    return value is not None and value < limit
