"""What a condition of a gate asks for, and what it may name: checked before any row is read."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from evaluation.audit.gaps import canonical, gap_kinds, kinds_of
from evaluation.audit.histograms import KINDS
from evaluation.audit.metrics import ALIASES, chosen, says_nothing
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Estimate
from evaluation.audit.regression import chosen_errors
from evaluation.audit.schema import Schema
from evaluation.audit.tally import CROSSED
from evaluation.errors import InputError

Bound = Literal["value", "lower", "upper"]
Scope = Literal["min", "max", "overall"]
Comparator = Literal["<", "<=", ">", ">="]

COMPARATORS: dict[Comparator, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

UNKNOWN = "{condition}: no {kind} {name!r} in this audit{near}"
NEAR = "; did you mean {names}?"
ALL = "; there are: {names}"
NO_CROSS = (
    "{condition}: columns {columns!r} are not compared; those that are: {crosses} (ask for others "
    "with --by)"
)
NO_GROUPS = "{condition}: this audit compares no groups; give it a sensitive column"
NO_COLUMN = "no sensitive column {name!r}; there are: {names}"
NO_REPLICATES = (
    "{condition}: without bootstrap replicates there are no intervals; ask for replicates, or "
    "judge the value itself"
)

_BETWEEN_COLUMNS = re.compile(r"\s*[,×]\s*")


@dataclass(frozen=True)
class Condition:
    """What makes an audit fail."""

    text: str  # as the user wrote it
    name: str  # gap or metric
    comparator: Comparator  # it fails where the quantity compares so to `number`
    number: float
    bound: Bound = "value"  # what of the estimate is compared
    scope: Scope | None = None  # of a metric by group
    columns: str = ""  # sensitive columns, as written; empty: every cross

    def fails(self, value: float) -> bool:
        """Whether a defined value makes the audit fail."""
        return COMPARATORS[self.comparator](value, self.number)

    def compared(self, estimate: Estimate) -> float:
        """What of an estimate is held against `number`."""
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

    def undecided(self, estimate: Estimate) -> bool:
        """Whether bins of scores hide on which side of `number` an estimate lies."""
        low, high = self.reach(estimate)
        return self.fails(low) != self.fails(high)


@dataclass(frozen=True)
class Known:
    """What an audit has, or will have: crosses of columns, and names of metrics and gaps."""

    crosses: tuple[tuple[str, ...], ...]
    metrics: frozenset[str]
    gaps: frozenset[str]
    intervals: bool = True


def names_of(
    task: str, columns: tuple[str, ...], options: AuditOptions, *, scored: bool, classes: int = 2
) -> Known:
    """What an audit will have, as far as it is known; refuses options of unknown names."""
    if task == "regression":
        errors = chosen_errors(options.metrics)
        metrics = {metric.name for metric in errors}
        gaps = {k.name for m in errors for k in kinds_of(m.name, m.title, ratios=m.ratios)}
    else:
        rates = chosen(options.metrics)
        metrics = {m.name for m in rates if not says_nothing(m.name, classes, options.across)}
        gaps = {kind.name for kind in gap_kinds(rates)}
    for column in (name for by in options.by for name in by if name not in columns):
        raise InputError(NO_COLUMN.format(name=column, names=", ".join(columns)))
    scores = {kind.name for kind in KINDS} if scored else set()
    return Known(
        options.crosses(columns),
        frozenset(metrics | scores),
        frozenset(gaps | {f"{name}_difference" for name in scores}),
        intervals=options.replicates > 0,
    )


def names_in(schema: Schema, options: AuditOptions, *, scored: bool = False) -> Known:
    """What an audit of counts under a schema will have; `scored` if scores are yet to come."""
    scored, classes = scored or schema.bins != 0, len(schema.classes)
    return names_of(schema.task, schema.names, options, scored=scored, classes=classes)


def check_names(known: Known, wanted: Condition) -> None:
    """Refuse a condition that asks for what there is not, and list what is nearest."""
    if not known.crosses:
        raise InputError(NO_GROUPS.format(condition=wanted.text))
    columns = columns_of(wanted.columns)
    if columns and columns not in [columns_of(CROSSED.join(by)) for by in known.crosses]:
        listed = ", ".join(repr(CROSSED.join(by)) for by in known.crosses)
        raise InputError(
            NO_CROSS.format(condition=wanted.text, columns=wanted.columns, crosses=listed)
        )
    names = known.metrics if wanted.scope is not None else known.metrics | known.gaps
    own = {wanted.name, ALIASES.get(wanted.name, wanted.name)}
    if wanted.scope is None:
        own.add(canonical(wanted.name))
    if not own & names:
        raise _unknown(names, wanted)
    if wanted.bound != "value" and not known.intervals:
        raise InputError(NO_REPLICATES.format(condition=wanted.text))


def columns_of(text: str) -> list[str]:
    """Columns of a cross, in any order; one with a comma in its name comes apart on both sides."""
    return sorted(_BETWEEN_COLUMNS.split(text.strip())) if text.strip() else []


def _unknown(known: frozenset[str], wanted: Condition) -> InputError:
    kind = "metric by group" if wanted.scope is not None else "gap or metric"
    close = difflib.get_close_matches(wanted.name, sorted(known), 4, 0.6)
    listed = ", ".join(sorted(known)) or "none"
    near = NEAR.format(names=" or ".join(close)) if close else ALL.format(names=listed)
    return InputError(UNKNOWN.format(condition=wanted.text, kind=kind, name=wanted.name, near=near))
