"""What is asked of the images of one cell: thresholds, and why some check is weaker than usual.

Thresholds are learnt from real images: of the cell where there are enough, else of more of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from generators.curation.measures import Floats
from generators.curation.references import References
from generators.curation.settings import Curation
from semantic.arrays import Flags, Indices

NO_REAL = "not applied: too few real training images to compare with"
NO_ATTRIBUTE = "not applied: the class has no attribute of its own"
CLASSES_ONLY = "classes only: on real images CLIP does not read the group better than chance"
SAME_IN_CLIP, SAME_IN_PIXELS = 0.005, 2.0
"""Distances below which two images are one, without real images: cosine distance, and difference
per pixel (0 to 255). Two encodings of one picture are about as far apart."""

Basis = Literal["cell", "class", "all", "configured"]
BASES: tuple[Basis, ...] = ("cell", "class", "all")


@dataclass(frozen=True)
class Threshold:
    """A limit, and what it rests on.

    Attributes
    ----------
    value
        The limit.
    n
        Real images behind it; 0 for a configured one.
    basis
        Whose images they are: the cell's, its class's, all; or the configuration.
    """

    value: float
    n: int
    basis: Basis

    def to_json(self) -> dict[str, float | int | str]:
        """As JSON."""
        return asdict(self)


CONFIGURED = Threshold(0.0, 0, "configured")
"""A limit that rests on no real image; the value is to be filled in."""


def rows_of(basis: Basis, labels: Indices, groups: Indices, cell: tuple[int, int]) -> Flags:
    """Which real images a threshold for a cell rests on, ``[n]``."""
    if basis == "configured":
        return np.zeros(len(labels), bool)
    chosen = np.ones(len(labels), bool) if basis == "all" else labels == cell[0]
    return chosen & (groups == cell[1]) if basis == "cell" else chosen


def calibrated(
    values: Floats,
    labels: Indices,
    groups: Indices,
    cell: tuple[int, int],
    quantile: float,
    minimum: int,
    bases: Iterable[Basis] = BASES,
) -> Threshold | None:
    """Quantile of real images' values, of the narrowest basis that holds `minimum` of them.

    A value is not finite where an image has none. None if no basis holds enough.
    """
    for basis in bases:
        rows = rows_of(basis, labels, groups, cell)
        found = values[rows & np.isfinite(values)]
        if len(found) >= minimum:
            return Threshold(float(np.quantile(found, quantile)), len(found), basis)
    return None


@dataclass(frozen=True)
class Limits:
    """Limits of one cell.

    `thresholds` are by what is measured: `margin`, `attributes`, `duplicate` (in CLIP space),
    `duplicate pixels`, `memorised`; a check without is not applied. `notes` say, by check, why it
    is weaker than configured or not applied.
    """

    thresholds: dict[str, Threshold]
    notes: dict[str, str]


def limits_of(
    curation: Curation,
    references: References | None,
    cell: tuple[int, int],
    has_attributes: bool,
) -> Limits:
    """Limits of a cell; `has_attributes`: the attribute table names some of its class."""

    def learnt(
        measure: Callable[[References], Floats], quantile: float, bases: Iterable[Basis] = BASES
    ) -> Threshold | None:
        real = references
        if real is None:
            return None
        minimum = curation.minimum
        return calibrated(measure(real), real.labels, real.groups, cell, quantile, minimum, bases)

    visible = references is None or references.sees_groups.visible
    found: dict[str, Threshold | None] = {}
    notes: dict[str, str] = {}
    if "margin" in curation.checks:
        # Nothing is asked of synthetic images that real ones do not fulfil. Other cells' real
        # images say nothing about it: some cells are harder to tell from their neighbours.
        own = learnt(
            lambda real: real.margins if visible else real.class_margins,
            curation.quantile,
            ("cell",),
        )
        least = min(own.value, curation.margin) if own else curation.margin
        found["margin"] = replace(own or CONFIGURED, value=least)
        if not visible:
            notes["margin"] = CLASSES_ONLY
    if "attributes" in curation.checks and has_attributes:
        found["attributes"] = learnt(lambda real: real.agreements, curation.quantile)
    elif "attributes" in curation.checks:
        notes["attributes"] = NO_ATTRIBUTE
    if "duplicate" in curation.checks:
        # Real images would hardly ever count as duplicates.
        near = learnt(lambda real: real.distances, curation.closeness)
        found["duplicate"] = near or replace(CONFIGURED, value=SAME_IN_CLIP)
        near = learnt(lambda real: real.pixel_distances, curation.closeness)
        found["duplicate pixels"] = near or replace(CONFIGURED, value=SAME_IN_PIXELS)
    if "memorised" in curation.checks:
        found["memorised"] = learnt(lambda real: real.distances, curation.closeness)
    notes |= {check: NO_REAL for check, limit in found.items() if limit is None}
    return Limits({name: limit for name, limit in found.items() if limit is not None}, notes)
