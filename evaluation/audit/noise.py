"""What a site does to its counts before it hands them out: noise, or leaving out small cells.

Noise is added to *every* cell of the declared cross of columns, also to empty ones: which cells are
occupied would otherwise be told exactly. So classes and groups have to be declared beforehand, not
found in the rows. One row, added or removed, changes one confusion cell and one histogram cell for
each class that has a score, each by 1; the whole budget is spent on both together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random, SystemRandom

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.discrete_noise import (
    check_budget,
    discrete_gaussian,
    discrete_laplace,
    gaussian_variance,
    laplace_scale,
    laplace_variance,
)
from evaluation.audit.labels import ordered_classes
from evaluation.audit.release import Release
from evaluation.audit.schema import (
    EVERYONE,
    MISSING,
    Axis,
    Schema,
    cut_levels,
    ordered_levels,
)
from evaluation.audit.sparse import IntArray, SparseCounts
from evaluation.audit.tally import Tally
from evaluation.errors import InputError

MOST_CELLS = 1_000_000
"""Cells that get noise at most; drawing it exactly takes about 60 µs a cell."""

UNDECLARED = (
    "noised counts need declared names, or the file would tell which ones occur: state {what}"
)
FOUND = (
    "the data has the {what} {found}, not declared; declare all that may occur, or correct the data"
)
TOO_MANY = (
    "the declared cross has {cells:,} cells, and all of them get noise: at most {most:,} can be. "
    "Leave out a sensitive column, or count fewer bins of the score"
)
UNBOUNDED = (
    "noise protects counts of rows; {what} have no bound on what one row adds: leave {them} out, "
    "or hand out exact counts"
)
BOTH = (
    "epsilon and min_cell together: noise protects small cells already, and leaving some out "
    "before it would break its guarantee; give one of them"
)


@dataclass(frozen=True)
class Declared:
    """Names that may occur, stated before the rows are read."""

    classes: Sequence[str] = ()
    # groups of every sensitive column without cut points
    levels: Mapping[str, Sequence[str]] | None = None
    clients: Sequence[str] = ()  # empty where no column names them
    missing: bool = True  # a missing sensitive value is a group of its own

    def schema(self, found: Schema) -> Schema:
        """The schema of the whole declared cross, whatever of it the rows hold.

        Refused if names are not declared, or the rows have others.
        """
        if not self.classes:
            raise InputError(UNDECLARED.format(what="all classes"))
        axes = tuple(self._axis(axis) for axis in found.axes)
        for axis, own in zip(found.axes, axes, strict=True):
            _check_known(f"value of {axis.name!r}", axis.levels, own.levels)
        clients = self._clients(found)
        _check_known("client", found.clients, clients)
        _check_known("class", found.classes, self.classes)
        classes = ordered_classes(self.classes, found.positive)
        return replace(found, classes=classes, axes=axes, clients=clients)

    def _axis(self, axis: Axis) -> Axis:
        missing = (MISSING,) if self.missing else ()
        if axis.cuts:
            return replace(axis, levels=(*cut_levels(axis.cuts), *missing))
        declared = (self.levels or {}).get(axis.name)
        if not declared:
            raise InputError(UNDECLARED.format(what=f"all values of {axis.name!r}"))
        return replace(axis, levels=ordered_levels((*declared, *missing)))

    def _clients(self, found: Schema) -> tuple[str, ...]:
        if self.clients:
            return tuple(sorted(set(self.clients)))
        if found.clients == (EVERYONE,) or not any(role == "client" for role, _ in found.columns):
            return found.clients
        raise InputError(UNDECLARED.format(what="all clients"))


def _check_known(what: str, found: Sequence[str], declared: Sequence[str]) -> None:
    unknown = [name for name in found if name not in declared]
    if unknown:
        raise InputError(FOUND.format(what=what, found=repr(unknown[0])))


def protect(
    tally: Tally,
    *,
    epsilon: float | None = None,
    delta: float | None = None,
    min_cell: int = 0,
    declared: Declared | None = None,
    source: Random | None = None,
) -> tuple[Tally, Release]:
    """Make counts fit to leave their site.

    `epsilon` asks for discrete Laplace noise, with `delta` for discrete Gaussian; that needs names
    that are `declared`, and counts without weights or errors. `min_cell` instead leaves out cells
    with 1 to ``min_cell - 1`` rows. A seeded `source` makes the noise predictable, for tests
    alone; by default it is the operating system's randomness.
    """
    tally.refuse_exact_scores()
    if epsilon is None:
        if delta is not None:
            raise InputError("delta without epsilon; give both for noise, or neither")
        return leave_out_small(tally, min_cell) if min_cell > 1 else (tally, Release())
    if min_cell > 1:
        raise InputError(BOTH)
    return add_noise(tally, epsilon, delta, declared or Declared(), source or SystemRandom())


def leave_out_small(tally: Tally, min_cell: int) -> tuple[Tally, Release]:
    """Counts without the cells of fewer than `min_cell` rows, and how many those were.

    A cell is one of the finest cross: of client, all sensitive columns, true and predicted class,
    and of a histogram also the bin. Confusion counts and histograms are of the same rows, and
    neither shall tell what the other leaves out: see `_told_by_confusion`.
    """
    dropped_cells = dropped_rows = 0
    kept: dict[str, SparseCounts | None] = {}
    for part in ("confusion", "scores", "errors"):
        counted: SparseCounts | None = getattr(tally, part)
        kept[part] = counted
        if counted is None:
            continue
        rows = counted.rows
        small = (rows > 0) & (rows < min_cell)
        if part == "scores" and tally.confusion is not None:
            small |= _told_by_confusion(tally, min_cell)
        dropped_cells, dropped_rows = dropped_cells + small.sum(), dropped_rows + rows[small].sum()
        kept[part] = counted.some(~small)
    release = Release(
        min_cell=min_cell,
        dropped_cells=_rounded_up(int(dropped_cells), min_cell),
        dropped_rows=_rounded_up(int(dropped_rows), min_cell),
    )
    return Tally(tally.schema, kept["confusion"], kept["scores"], kept["errors"]), release


def _told_by_confusion(tally: Tally, min_cell: int) -> NDArray[np.bool_]:
    """Cells of the histograms that go because confusion counts are known, and the reverse.

    Rows of a client and group that are of a class (or not) are both the sum of confusion cells and
    that of bins. Where one of those confusion cells is left out, so are all bins: their sum would
    tell it. Else, where fewer than `min_cell` rows are in bins that are left out, so are the next
    smallest bins.
    """
    confusion, scores = tally.confusion, tally.scores
    if confusion is None or scores is None:
        raise ValueError("confusion counts and scores are compared")
    classes, scored = tally.schema.classes, tally.schema.score_classes
    c, bins = len(classes), scores.shape[-1]
    rows = confusion.values[:, 0]
    gone = np.unique(confusion.keys[(rows > 0) & (rows < min_cell)] // c)  # place and true class
    block, rows = scores.keys // bins, scores.values[:, 0]
    place, side = block // (2 * len(scored)), block % 2
    own = place * c + np.array([classes.index(name) for name in scored])[block // 2 % len(scored)]
    of_class = np.isin(own, gone)
    at_place = (np.isin(place[:, None] * c + np.arange(c), gone)).sum(axis=1)
    found = np.where(side == 1, of_class, at_place > of_class)
    small = (rows > 0) & (rows < min_cell)
    for one in np.unique(block[small & ~found]):
        cells = np.flatnonzero(block == one)
        cells = cells[np.argsort(rows[cells], kind="stable")]
        enough = int(np.searchsorted(np.cumsum(rows[cells]), min_cell)) + 1
        found[cells[:enough]] = True
    return np.asarray(found)


def _rounded_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def add_noise(
    tally: Tally, epsilon: float, delta: float | None, declared: Declared, source: Random
) -> tuple[Tally, Release]:
    """Counts with noise on every cell of the declared cross; see `protect`."""
    if tally.schema.task == "regression":
        raise InputError(UNBOUNDED.format(what="errors of a regression", them="them"))
    if tally.schema.weighted:
        raise InputError(UNBOUNDED.format(what="weights", them="them"))
    check_budget(epsilon, 0.5 if delta is None else delta)
    whole = tally.under(declared.schema(tally.schema))
    parts = [part for part in (whole.confusion, whole.scores) if part is not None]
    cells = sum(math.prod(part.shape) for part in parts)
    if cells > MOST_CELLS:
        raise InputError(TOO_MANY.format(cells=cells, most=MOST_CELLS))
    touched = 1 + len(whole.schema.score_classes)
    if delta is None:
        scale = laplace_scale(epsilon, touched)
        variance = laplace_variance(scale)
    else:
        scale = gaussian_variance(epsilon, delta, touched)
        variance = float(scale)
    release = Release(
        mechanism="discrete laplace" if delta is None else "discrete gaussian",
        epsilon=epsilon,
        delta=delta or 0.0,
        deviation=float(f"{math.sqrt(variance):.4g}"),
        touched=touched,
        cells=cells,
    )
    draw = discrete_laplace if delta is None else discrete_gaussian

    def noised(part: SparseCounts) -> SparseCounts:
        full = part.dense().reshape(-1, 1)
        added = np.array([draw(Fraction(scale), source) for _ in range(len(full))], np.int64)
        return SparseCounts(part.shape, np.arange(len(full)), full + added[:, None])

    return whole.mapped(noised), release


def without_negative(tally: Tally) -> Tally:
    """Noised counts as metrics need them: nothing negative, the total as released.

    Setting negative cells to 0 alone would add rows that nobody has, most of all to empty groups;
    so one number is taken off all cells such that the sum stays (the Euclidean projection to the
    simplex, "norm-sub" in Wang et al., NDSS 2020, arXiv 1905.08320), to whole rows. Exact counts
    stay as they are.
    """
    if tally.schema.task == "regression":  # no noise is added to errors, which may be negative
        return tally
    return tally.mapped(_projected)


def _projected(counted: SparseCounts) -> SparseCounts:
    if counted.values.size == 0 or counted.values.min() >= 0:
        return counted
    values = _to_simplex(counted.values[:, 0])
    keep = values > 0
    return SparseCounts(counted.shape, counted.keys[keep], values[keep, None])


def _to_simplex(values: IntArray) -> IntArray:
    """Nearest counts that are not negative and have the same sum; none where that is below 1."""
    total = int(values.sum())
    if total < 1:
        return np.zeros_like(values)
    ordered = np.sort(values)[::-1]
    excess = np.cumsum(ordered) - total
    # The largest number of cells that stay above 0 when they share the excess.
    count = int(np.flatnonzero(ordered * np.arange(1, len(ordered) + 1) > excess)[-1]) + 1
    low, rest = divmod(int(excess[count - 1]), count)
    found = np.maximum(values - low, 0)
    # `rest` of them give one more, the largest first; ties go by position.
    largest = np.argsort(-values, kind="stable")[:count]
    found[largest[:rest]] -= 1
    return found
