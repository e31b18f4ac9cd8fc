"""Which groups are compared, and from computed arrays to the records of gaps.

Which parts of a number are not defined is said beside it, and no gate passes it. A group without
positive rows has no true positive rate, so equalized odds over it is the false positive rate's gap
alone; a mean over classes is over those that a group has rows of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.gaps import GapKind
from evaluation.audit.measured import Measured
from evaluation.audit.metrics import jaccard_of_f1
from evaluation.audit.null import Drawn, null_gaps
from evaluation.audit.options import ALL, AuditOptions, Shown
from evaluation.audit.outcome import NAN, Comparison, Estimate, Gap
from evaluation.audit.uncertainty import gap_intervals
from evaluation.metrics import rates_difference, rates_ratio, skipping_nan
from evaluation.rates import FloatArray, ratio_or_nan

NAMED = 5
"""Groups that are named; of more, how many there are."""
OVERALL = "overall"
"""Stands for everyone at an end of a gap to the overall value."""
TIED = 1e-12
"""Rates that differ by less are equal but for rounding."""


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


def split(
    by: tuple[str, ...],
    names: tuple[str, ...],
    rows: NDArray[np.int64],
    min_group: int,
    shown: Shown = ALL,
) -> tuple[NDArray[np.bool_], Comparison]:
    """Which groups have enough rows, and may be shown; and a comparison of them to be filled."""
    kept = (rows >= max(1, min_group)) & shown.mask(by, names)
    own, others = (
        tuple(name for name, is_one in zip(names, some, strict=True) if is_one)
        for some in (kept, ~kept)
    )
    own_rows = tuple(int(n) for n in rows[kept])
    return kept, Comparison(by, own, own_rows, others, int(rows[~kept].sum()), (), ())


def gap_records(
    kinds: Sequence[GapKind],
    parts: Mapping[str, Measured],
    names: tuple[str, ...],
    draw: Drawn,
    options: AuditOptions,
    words: Words,
) -> tuple[Gap, ...]:
    """Value, interval, chance band and test of each gap; undefined between fewer than two groups.

    `parts` are measured metrics by name, `names` those of the compared groups; `draw` gives a
    metric by group where nothing differs (`evaluation.audit.null`).
    """
    across, level = options.across, options.level
    values = {kind.name: NAN for kind in kinds}
    intervals: dict[str, tuple[float, float]] = {}
    null: dict[str, tuple[float, float]] = {}
    if len(names) > 1:
        rates = {n: (part.values[: part.compared], part.values[-1:]) for n, part in parts.items()}
        values = {kind.name: float(kind.value(rates, across)) for kind in kinds}
        intervals = gap_intervals(kinds, parts, values, across, level)
        null = null_gaps(kinds, draw, values, across, level)
    return tuple(
        Gap(
            name=kind.name,
            title=kind.title,
            metric=kind.metric,
            kind=kind.kind,
            method=kind.method,
            estimate=replace(
                _estimate(kind, parts, values[kind.name], intervals.get(kind.name), options),
                lacks=gap_lacks(kind, parts, names, words),
            ),
            lowest=ends[0],
            highest=ends[1],
            chance=null[kind.name][0] if kind.kind == "difference" and kind.name in null else NAN,
            p=null[kind.name][1] if kind.name in null else NAN,
            detectable=_detectable(kind, parts, options),
        )
        for kind in kinds
        for ends in (_ends(kind, parts, names),)
    )


def _estimate(
    kind: GapKind,
    parts: Mapping[str, Measured],
    value: float,
    ends: tuple[float, float] | None,
    options: AuditOptions,
) -> Estimate:
    own = [parts[name] for name in kind.of]
    rows = [int(part.n[: part.compared].sum()) for part in own]
    # Rows of two classes have part in one rate of equalized odds, of more classes in both.
    n = sum(rows) if own[0].values.shape[1] == 1 else max(rows)
    undefined = _undefined(kind, parts, options)
    if ends is None:
        return Estimate(value, n=n, undefined=undefined)
    return Estimate(value, *ends, n=n, how="bootstrap", undefined=undefined)


def _undefined(kind: GapKind, parts: Mapping[str, Measured], options: AuditOptions) -> float:
    """Share of the replicates in which too few groups were left."""
    own = [parts[name] for name in kind.of]
    k = own[0].compared
    if k < 2 or not len(own[0].draws):
        return float(k < 2)
    if not any(np.isnan(part.draws[:, :k]).any() for part in own):
        return 0.0
    rates = {
        name: (part.draws[:, :k], part.draws[:, -1:])
        for name, part in zip(kind.of, own, strict=True)
    }
    return float(np.isnan(kind.value(rates, options.across)).mean())


def _ends(kind: GapKind, parts: Mapping[str, Measured], names: tuple[str, ...]) -> tuple[str, str]:
    part = parts[kind.of[0]]
    values = part.values[: part.compared]
    if len(kind.of) > 1 or values.shape[1] > 1 or (~np.isnan(values)).sum() < 2:
        return "", ""
    column = values[:, 0]
    if kind.method == "between_groups":
        return names[_largest(-column)], names[_largest(column)]
    place, below = _farthest(kind, part)
    return (names[place], OVERALL) if below else (OVERALL, names[place])


def _farthest(kind: GapKind, part: Measured) -> tuple[int, bool]:
    """The group farthest from the overall value of one class, and whether it is below it."""
    column, overall = part.values[: part.compared, 0], part.values[-1, 0]
    far = np.abs(column - overall)
    if kind.kind == "ratio":
        low, high = np.minimum(column, overall), np.maximum(column, overall)
        far = 1 - low / np.where(high > 0, high, np.nan)
    if np.isnan(far).all():
        return 0, False
    place = _largest(far)
    return place, bool(column[place] < overall)


def _largest(values: FloatArray) -> int:
    """The first of the largest: rounding, as of weights on another scale, breaks no tie."""
    return int(np.flatnonzero(values >= np.nanmax(values) - TIED)[0])


def _detectable(kind: GapKind, parts: Mapping[str, Measured], options: AuditOptions) -> float:
    """The largest of the rates and classes that a gap joins: the last one to be found."""
    if kind.kind == "ratio" or kind.method == "to_overall":
        return NAN
    found = []
    for part in (parts[name] for name in kind.of):
        values = part.values[: part.compared]
        for column in range(values.shape[1]):
            own = values[:, column]
            if (~np.isnan(own)).sum() < 2:
                continue
            ends = int(np.nanargmin(own)), int(np.nanargmax(own))
            if ends[0] == ends[1]:
                # All alike: the two groups that tell least.
                ends = _smallest(part, column)
            found.append(detectable_gap(part, ends, column, options.level, options.power))
    return float(skipping_nan("max", np.array(found), 0)) if found else NAN


def _smallest(part: Measured, column: int) -> tuple[int, int]:
    defined = ~np.isnan(part.values[: part.compared, column])
    rows = np.where(defined, part.rows[: part.compared, column], np.iinfo(np.int64).max)
    first, second = np.argsort(rows, kind="stable")[:2]
    return int(first), int(second)


def detectable_gap(
    part: Measured, ends: tuple[int, int], column: int, level: float, power: float
) -> float:
    """Difference between two groups (`ends`) that is found with some power (normal approximation).

    ``(z_{1-α/2} + z_power) sqrt(v₁ + v₂)``, for a proportion with ``v = p(1-p)/n`` at the overall
    p (for F1 that of its Jaccard index, times its slope there); otherwise with standard errors.
    """
    normal = NormalDist()
    reach = normal.inv_cdf(0.5 + level / 2) + normal.inv_cdf(power)
    if part.size is None:
        variance = part.spread[list(ends), column] ** 2
    else:
        value = part.values[-1, column]
        p, slope = (jaccard_of_f1(value), (2 - value) ** 2 / 2) if part.jaccard else (value, 1.0)
        # A rate of 0 or 1 among all rows is not certain to be that of others.
        n = float(part.size[:, column].sum())
        p = (n * p + 1) / (n + 2)
        variance = ratio_or_nan(np.full(2, slope**2 * p * (1 - p)), part.size[list(ends), column])
    return float(np.minimum(part.top, reach * np.sqrt(variance.sum())))
