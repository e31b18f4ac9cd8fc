"""Gaps between groups: which there are, and their values.

Every metric by group has a difference and a ratio, between groups and to the overall value;
equalized odds joins the true and the false positive rate, by the worse of the two or their mean.
Definitions and conventions are those of `evaluation.metrics` (fairlearn's).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.metrics import ALIASES, BY_GROUP, ByGroup
from evaluation.audit.outcome import Kind, Method
from evaluation.metrics import (
    Across,
    Agg,
    joined_odds,
    over_classes,
    rates_difference,
    rates_ratio,
    skipping_nan,
)
from evaluation.rates import Convention, FloatArray, pool_groups

KINDS: tuple[Kind, ...] = ("difference", "ratio")
ODDS = ("true_positive_rate", "false_positive_rate")
NAMED = {
    "selection_rate": ("demographic_parity", "Demographic parity"),
    "true_positive_rate": ("equal_opportunity", "Equal opportunity"),
}
"""Metrics whose gaps have a name of their own."""

Rates = tuple[FloatArray, FloatArray]
"""Of groups ``(..., groups, classes)`` and overall ``(..., 1, classes)``."""


@dataclass(frozen=True)
class GapKind:
    """Definition of a gap; names as in `evaluation.audit.outcome.Gap`."""

    name: str
    title: str
    metric: str  # by group; ``equalized_odds`` for a joined one
    of: tuple[str, ...]  # metrics that it is made of: one, or the two of equalized odds
    kind: Kind
    method: Method
    agg: Agg = "worst_case"

    @property
    def fair(self) -> float:
        """The value where all groups are equal."""
        return 0.0 if self.kind == "difference" else 1.0

    def value(
        self, rates: Mapping[str, Rates], across: Across, convention: Convention = "exclude"
    ) -> FloatArray:
        """Return the gap of rates by metric, shape ``(...)``; NaN where undefined."""
        function = rates_difference if self.kind == "difference" else rates_ratio
        largest = self.kind == "difference"
        parts = [function(*rates[name], self.method, convention) for name in self.of]
        joined = parts[0]
        if len(parts) > 1:
            joined = joined_odds(parts[0], parts[1], self.agg, largest=largest)
        return over_classes(joined, across, largest=largest)

    def of_counts(
        self,
        counts: NDArray[Any],
        across: Across = "macro",
        convention: Convention = "exclude",
        compared: int | None = None,
    ) -> FloatArray:
        """Return the gap of counts ``(..., groups, C, C)`` over the first `compared` groups."""
        rates = {
            name: (
                BY_GROUP[name].values(counts, convention)[..., slice(compared), :],
                BY_GROUP[name].values(pool_groups(counts), convention),
            )
            for name in self.of
        }
        return self.value(rates, across, convention)


def narrowed(rates: Rates) -> Rates:
    """The lowest and the highest group alone: no gap depends on what lies between them.

    But for ratios to an overall value below 0, which only draws of it can be: then all groups stay.
    """
    groups, overall = rates
    if groups.shape[-2] <= 2 or (overall < 0).any():
        return rates
    ends = [skipping_nan("min", groups, -2), skipping_nan("max", groups, -2)]
    known = ~np.isnan(groups)
    if not known.all():  # of one group there is no gap
        enough = known.sum(axis=-2) >= 2
        ends = [np.where(enough, end, np.nan) for end in ends]
    # Each of the two lies together in memory.
    return np.moveaxis(np.stack(ends), 0, -2), overall


def gap_kinds(metrics: Iterable[ByGroup]) -> tuple[GapKind, ...]:
    """All gaps of these metrics, equalized odds first where both of its rates are among them."""
    metrics = tuple(metrics)
    present = {metric.name for metric in metrics}
    found = list(_odds()) if present.issuperset(ODDS) else []
    for metric in metrics:
        found.extend(kinds_of(metric.name, metric.title))
    return tuple(found)


def kinds_of(metric: str, title: str, *, ratios: bool = True) -> list[GapKind]:
    """The gaps of one metric by group."""
    stem, words = NAMED.get(metric, (metric, title))
    return [
        GapKind(f"{stem}_{kind}{end}", f"{words} {kind}{also}", metric, (metric,), kind, method)
        for kind in (KINDS if ratios else KINDS[:1])
        for method, end, also in _METHODS
    ]


_METHODS: tuple[tuple[Method, str, str], ...] = (
    ("between_groups", "", ""),
    ("to_overall", "_to_overall", " to overall"),
)
_AGGS: tuple[tuple[Agg, str, str], ...] = (
    ("worst_case", "", ""),
    ("mean", "_mean", " (mean)"),
)


def _odds() -> Iterable[GapKind]:
    for kind in KINDS:
        for method, end, also in _METHODS:
            for agg, mean, words in _AGGS:
                name = f"equalized_odds_{kind}{mean}{end}"
                title = f"Equalized odds {kind}{words}{also}"
                yield GapKind(name, title, "equalized_odds", ODDS, kind, method, agg)


GAPS: dict[str, GapKind] = {kind.name: kind for kind in gap_kinds(BY_GROUP.values())}
"""All gaps of classification by name."""


def canonical(name: str) -> str:
    """The name that an audit uses for a gap that fairlearn also calls otherwise.

    >>> canonical("accuracy_score_difference"), canonical("true_positive_rate_ratio")
    ('accuracy_difference', 'equal_opportunity_ratio')
    """
    for kind in KINDS:
        metric, found, rest = name.rpartition(f"_{kind}")
        if found:
            own = ALIASES.get(metric, metric)
            return f"{NAMED.get(own, (own, ''))[0]}_{kind}{rest}"
    return name
