"""The numbers of an audit that a condition of a gate can name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan
from typing import Literal

from evaluation.audit.gaps import canonical
from evaluation.audit.metrics import ALIASES
from evaluation.audit.outcome import (
    NAN,
    Audit,
    Comparison,
    Estimate,
    Gap,
    GroupMetric,
    ScoreComparison,
    ScoreMetric,
)
from evaluation.audit.tally import CROSSED
from evaluation.errors import InputError

Bound = Literal["value", "lower", "upper"]
Scope = Literal["min", "max", "overall"]

AnyComparison = Comparison | ScoreComparison

UNKNOWN = "{condition}: no {kind} {name!r} in this audit{near}"
NEAR = "; did you mean {names}?"
ALL = "; there are: {names}"
NO_CROSS = (
    "{condition}: columns {columns!r} are not compared; those that are: {crosses} (ask for others "
    "with --by)"
)
NO_GROUPS = "{condition}: this audit compares no groups; give it a sensitive column"

_BETWEEN_COLUMNS = re.compile(r"\s*[,×]\s*")


@dataclass(frozen=True)
class Wanted:
    """What a condition asks for; see `evaluation.audit.gate.Condition`."""

    text: str
    name: str
    bound: Bound
    scope: Scope | None
    columns: str

    def compared(self, estimate: Estimate) -> float:
        """The number of an estimate that is held against the limit."""
        ends = {"value": estimate.value, "lower": estimate.low, "upper": estimate.high}
        return ends[self.bound]

    def reach(self, estimate: Estimate) -> tuple[float, float]:
        """What that number may be without the binning error, which ends of intervals hold."""
        error = estimate.binning
        ends = {
            "value": (estimate.value - error, estimate.value + error),
            "lower": (estimate.low, estimate.low + 2 * error),
            "upper": (estimate.high - 2 * error, estimate.high),
        }
        return ends[self.bound]


@dataclass(frozen=True)
class Found:
    """A quantity in one comparison.

    Parameters
    ----------
    title, where : str
        The quantity, and the comparison or group, in words.
    estimate : Estimate
        Value and interval.
    detail : str
        Groups at the ends of a gap, in words; may be empty.
    chance : float
        Of a gap; NaN otherwise.
    """

    title: str
    where: str
    estimate: Estimate
    detail: str = ""
    chance: float = NAN


def look_up(audit: Audit, wanted: Wanted) -> tuple[Found, ...]:
    """Find a quantity in every comparison that a condition means.

    Returns
    -------
    tuple of Found
        At least one; estimates may be undefined.

    Raises
    ------
    InputError
        If there is no such comparison, gap or metric; the message lists the nearest.
    """
    compared = _meant(audit, wanted)
    several = len({metric.scored for own in audit.scores for metric in own.metrics}) > 1
    # An overall value is the same in every comparison: it is kept once.
    found = {
        (one.title, one.where): one
        for own in compared
        for one in (*_gaps(own, wanted), *_metrics(own, wanted, several))
    }
    if not found:
        raise _unknown(compared, wanted)
    return tuple(found.values())


def _meant(audit: Audit, wanted: Wanted) -> list[AnyComparison]:
    compared: list[AnyComparison] = [*audit.comparisons, *audit.scores]
    if not compared:
        raise InputError(NO_GROUPS.format(condition=wanted.text))
    if not wanted.columns:
        return compared
    columns = _columns(wanted.columns)
    chosen = [own for own in compared if _columns(CROSSED.join(own.by)) == columns]
    if not chosen:
        crosses = ", ".join(dict.fromkeys(repr(CROSSED.join(own.by)) for own in compared))
        raise InputError(
            NO_CROSS.format(condition=wanted.text, columns=wanted.columns, crosses=crosses)
        )
    return chosen


def _columns(text: str) -> list[str]:
    """Columns of a cross, in any order; one with a comma in its name comes apart on both sides."""
    return sorted(_BETWEEN_COLUMNS.split(text.strip()))


def _gaps(own: AnyComparison, wanted: Wanted) -> Iterator[Found]:
    names = {wanted.name, canonical(wanted.name)}
    for gap in own.gaps if wanted.scope is None else ():
        if gap.name in names:
            yield Found(gap.title, f"over {_cross(own)}", gap.estimate, _ends(gap), gap.chance)


def _ends(gap: Gap) -> str:
    return f"lowest for {gap.lowest}, highest for {gap.highest}" if gap.lowest else ""


def _metrics(own: AnyComparison, wanted: Wanted, several: bool) -> Iterator[Found]:
    names = {wanted.name, ALIASES.get(wanted.name, wanted.name)}
    for metric in own.metrics:
        if metric.name not in names:
            continue
        title = metric.title
        if several and isinstance(metric, ScoreMetric):
            title += f" of the score for {metric.scored}"
        if wanted.scope in (None, "overall"):
            yield Found(title, "overall", metric.overall)
        else:
            yield _extreme(own, metric, wanted, title)


def _extreme(
    own: AnyComparison,
    metric: GroupMetric | ScoreMetric,
    wanted: Wanted,
    title: str,
) -> Found:
    """The group with the lowest or highest of what is compared; undefined groups have none."""
    pairs = zip(own.groups, metric.groups, strict=True)
    defined = [(name, estimate) for name, estimate in pairs if not isnan(estimate.value)]
    if not defined:
        return Found(title, f"in every group of {_cross(own)}", Estimate(NAN))
    choose, end = (min, 0) if wanted.scope == "min" else (max, 1)
    extreme = choose(defined, key=lambda pair: wanted.reach(pair[1])[end])
    # A group that has a value but not the end that is asked for must not be passed over.
    unbounded = [pair for pair in defined if isnan(wanted.compared(pair[1]))]
    name, estimate = (unbounded or [extreme])[0]
    return Found(title, f"for {name} ({_cross(own)})", estimate)


def _cross(own: AnyComparison) -> str:
    return CROSSED.join(own.by)


def _unknown(compared: list[AnyComparison], wanted: Wanted) -> InputError:
    known = {metric.name for own in compared for metric in own.metrics}
    kind = "metric by group" if wanted.scope is not None else "gap or metric"
    if wanted.scope is None:
        known |= {gap.name for own in compared for gap in own.gaps}
    close = difflib.get_close_matches(wanted.name, sorted(known), 4, 0.6)
    near = NEAR.format(names=" or ".join(close)) if close else ALL.format(names=_listed(known))
    return InputError(UNKNOWN.format(condition=wanted.text, kind=kind, name=wanted.name, near=near))


def _listed(known: set[str]) -> str:
    return ", ".join(sorted(known)) or "none"
