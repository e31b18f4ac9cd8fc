"""Which parts of a number are not defined: said beside it, and no gate passes it.

A group without positive rows has no true positive rate, so equalized odds over it is the false
positive rate's gap alone; a mean over classes is over those that a group has rows of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.gaps import GapKind
from evaluation.audit.measured import Measured
from evaluation.metrics import rates_difference, rates_ratio

NAMED = 5
"""Groups that are named; of more, how many there are."""


@dataclass(frozen=True)
class Words:
    """What parts are called."""

    titles: Mapping[str, str]  # of metrics by name, in a sentence; of what a mean is made of
    classes: tuple[str, ...] = ()

    def of_class(self, name: str, part: Measured, column: int) -> str:
        """A metric, and of several classes which one."""
        title = self.titles[name]
        return title if part.made_of.shape[1] == 1 else f"{title} of class {self.classes[column]}"


def gap_lacks(
    kind: GapKind, parts: Mapping[str, Measured], names: Sequence[str], words: Words
) -> tuple[str, ...]:
    """What of a gap between the named groups is not defined."""
    if len(names) < 2:
        return ()
    found = [text for name in kind.of for text in _rates(name, parts[name], names, words)]
    if kind.kind == "ratio":
        found += [t for name in kind.of for t in _ratios(kind, name, parts[name], words)]
    defined = [name for name in kind.of if not np.isnan(_by_class(kind, parts[name])).all()]
    if len(defined) == 1 < len(kind.of):
        found.insert(0, f"{words.titles[defined[0]]} alone")
    return tuple(found)


def group_lacks(name: str, part: Measured, words: Words) -> list[tuple[str, ...]]:
    """What of a metric is not defined, for every group and then overall, where the rest is."""
    return [
        ()
        if row.all()
        else tuple(words.of_class(name, part, c) for c in np.flatnonzero(row).tolist())
        for row in np.isnan(part.made_of)
    ]


def _rates(name: str, part: Measured, names: Sequence[str], words: Words) -> Iterator[str]:
    missing = np.isnan(part.made_of[: part.compared])
    for column in np.flatnonzero(missing.any(axis=0)).tolist():
        what = words.of_class(name, part, column)
        yield f"{what} is not defined for {_listed(missing[:, column], names)}"


def _ratios(kind: GapKind, name: str, part: Measured, words: Words) -> Iterator[str]:
    enough = (~np.isnan(part.values[: part.compared])).sum(axis=0) > 1
    for column in np.flatnonzero(enough & np.isnan(_by_class(kind, part))).tolist():
        yield f"{words.of_class(name, part, column)} is 0 in every group, which has no ratio"


def _by_class(kind: GapKind, part: Measured) -> NDArray[np.float64]:
    function = rates_difference if kind.kind == "difference" else rates_ratio
    return function(part.values[: part.compared], part.values[-1:], kind.method, "exclude")


def _listed(chosen: NDArray[np.bool_], names: Sequence[str]) -> str:
    own = [name for name, is_one in zip(names, chosen, strict=True) if is_one]
    if len(own) == len(names):
        return "any group"
    return ", ".join(own) if len(own) <= NAMED else f"{len(own)} of {len(names)} groups"
