"""The numbers of an audit that a condition of a gate can name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isnan

from evaluation.audit.gaps import canonical
from evaluation.audit.gate_names import Condition, Known, check_names, columns_of
from evaluation.audit.metrics import ALIASES
from evaluation.audit.outcome import (
    NAN,
    Audit,
    Comparison,
    Estimate,
    GroupMetric,
    ScoreComparison,
    ScoreMetric,
)
from evaluation.audit.tally import CROSSED

AnyComparison = Comparison | ScoreComparison


@dataclass(frozen=True)
class Found:
    """A quantity in one comparison."""

    title: str  # in words
    where: str  # the comparison or group, in words
    estimate: Estimate
    detail: str = ""  # groups at the ends of a gap, in words
    chance: float = NAN  # of a gap
    gap: tuple[int, str] | None = None  # place of the comparison, those of scores last, and name
    groups: int = 0  # that are compared


def look_up(audit: Audit, wanted: Condition) -> tuple[Found, ...]:
    """Find a quantity in every comparison that a condition means: at least one, maybe undefined."""
    every: list[AnyComparison] = [*audit.comparisons, *audit.scores]
    columns = columns_of(wanted.columns)
    meant = [
        (i, own)
        for i, own in enumerate(every)
        if not columns or columns_of(CROSSED.join(own.by)) == columns
    ]
    several = len({metric.scored for own in audit.scores for metric in own.metrics}) > 1
    # An overall value is the same in every comparison: it is kept once.
    found = {
        (one.title, one.where): one
        for i, own in meant
        for one in (*_gaps(i, own, wanted), *_metrics(own, wanted, several))
    }
    if not found:
        check_names(_known(every, [own for _, own in meant]), wanted)
        raise AssertionError(f"{wanted.text}: known, and not found")
    return tuple(found.values())


def _known(every: list[AnyComparison], meant: list[AnyComparison]) -> Known:
    """What the comparisons that are meant have."""
    return Known(
        crosses=tuple(dict.fromkeys(own.by for own in every)),
        metrics=frozenset(metric.name for own in meant for metric in own.metrics),
        gaps=frozenset(gap.name for own in meant for gap in own.gaps),
    )


def _gaps(place: int, own: AnyComparison, wanted: Condition) -> Iterator[Found]:
    names = {wanted.name, canonical(wanted.name)}
    for gap in own.gaps if wanted.scope is None else ():
        if gap.name in names:
            yield Found(
                gap.title,
                f"over {_cross(own)}",
                gap.estimate,
                f"lowest for {gap.lowest}, highest for {gap.highest}" if gap.lowest else "",
                gap.chance,
                (place, gap.name),
                len(own.groups),
            )


def _metrics(own: AnyComparison, wanted: Condition, several: bool) -> Iterator[Found]:
    names = {wanted.name, ALIASES.get(wanted.name, wanted.name)}
    for metric in own.metrics:
        if metric.name not in names:
            continue
        title = metric.title
        if several and isinstance(metric, ScoreMetric):
            title += f" of the score for {metric.scored}"
        if wanted.scope in (None, "overall"):
            yield Found(title, "overall", metric.overall, groups=len(own.groups))
        else:
            yield _extreme(own, metric, wanted, title)


def _extreme(
    own: AnyComparison,
    metric: GroupMetric | ScoreMetric,
    wanted: Condition,
    title: str,
) -> Found:
    """The group with the lowest or highest of what is compared; what groups lack, it lacks."""
    pairs = list(zip(own.groups, metric.groups, strict=True))
    defined = [(name, estimate) for name, estimate in pairs if not isnan(estimate.value)]
    if not defined:
        where = f"in every group of {_cross(own)}"
        return Found(title, where, Estimate(NAN), groups=len(pairs))
    choose, end = (min, 0) if wanted.scope == "min" else (max, 1)
    extreme = choose(defined, key=lambda pair: wanted.reach(pair[1])[end])
    # A group that has a value but not the end that is asked for must not be passed over.
    unbounded = [pair for pair in defined if isnan(wanted.compared(pair[1]))]
    name, estimate = (unbounded or [extreme])[0]
    lacks = [f"it is not defined for {group}" for group, one in pairs if isnan(one.value)]
    lacks += [f"{part} is not defined for {group}" for group, one in pairs for part in one.lacks]
    return Found(
        title,
        f"for {name} ({_cross(own)})",
        replace(estimate, lacks=tuple(lacks)),
        groups=len(pairs),
    )


def _cross(own: AnyComparison) -> str:
    return CROSSED.join(own.by)
