"""What chance alone makes of a gap: one null for the band beside it and for its p-value.

Every metric has a null of its own: within the rows of its denominator, the hit has nothing to do
with the group. Base rates, or how often a group is selected, therefore enter no metric but the one
that is about them. As many rows of each group and as many hits in all as there are, permuted over
the groups, give gaps; their quantile is the band, the share of them that reaches the gap that was
seen is the p-value. So ``p <= 1 - level`` exactly where the gap lies above the band.

============================  ======================================  ==========================
metric                        rows that are permuted                  hit
============================  ======================================  ==========================
selection rate, base rate     all                                     predicted, or of, the class
accuracy, error rate          all                                     predicted right
true, false positive rate …   of the class; not of it                 predicted as the class
precision, false omission …   predicted as the class; not as it       of the class
F1                            of the class or predicted as it         both (Jaccard's index)
balanced accuracy             of each class, together                 predicted right
equalized odds                those of both of its rates, together    predicted as the class
errors of a regression        none: Student's t around equal means
============================  ======================================  ==========================

Of more than two classes, each against the rest, those that share rows are permuted together (but
for F1, where each class is by itself). Weighted rows: tables of effective rows, which are Kish's
per group times what the pooled rows tell of weights that go with the hit (first-order correction of
Rao & Scott 1981).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.gaps import GapKind, Rates, gap_kinds, narrowed
from evaluation.audit.measured import Cells, Measured, make_cells
from evaluation.audit.metrics import (
    BY_GROUP,
    COMPLEMENTS,
    Parts,
    f1_of_jaccard,
    jaccard_parts,
    recall_parts,
)
from evaluation.intervals import LEVEL, check_level
from evaluation.metrics import Across, skipping_nan
from evaluation.rates import CountArray, FloatArray, ratio_or_nan

DRAWS = 3_999
"""The smallest p-value is one in one more; at 0.05 it errs by 0.0035."""
FEWEST, CELLS = 999, 160_000
"""Draws × groups at most, for many groups, as long as there are so many draws."""
LARGEST = 10**9
"""Rows from which the normal approximation is drawn: NumPy's hypergeometric ends there."""
TIE = 1e-9
"""Draws that differ by less from the gap tie with it: they count against it."""

EXCLUSIVE = ("selection_rate", "base_rate")
"""Metrics of which a row is a hit for one class only."""

JOINT = {
    "true_positive_rate": "true_positive_rate",
    "false_positive_rate": "true_positive_rate",
    "false_omission_rate": "false_omission_rate",
}
"""Metrics of which more than two classes share rows, and whose stream of draws they have."""

Drawn = Callable[[str], Rates | None]
"""By metric: of groups ``(draws, groups, classes)``, and overall; None where it has no test."""


def null_gaps(
    kinds: Sequence[GapKind],
    draw: Drawn,
    values: Mapping[str, float],
    across: Across,
    level: float,
) -> dict[str, tuple[float, float]]:
    """Band and p-value of gaps by name; those that are undefined or have no test are left out.

    `values` are the gaps that were seen, `draw` gives a metric by group where nothing differs
    (`permuted`, `alike_errors`). A band is what the gap stays within in a share `level` of the
    draws.
    """
    by_metrics: dict[tuple[str, ...], list[GapKind]] = {}
    for kind in kinds:
        if not np.isnan(values[kind.name]):
            by_metrics.setdefault(kind.of, []).append(kind)
    found = {}
    # A metric and its complement one after the other: they have the same draws.
    for names in sorted(by_metrics, key=lambda of: [COMPLEMENTS.get(name, name) for name in of]):
        drawn = {name: draw(name) for name in names}
        rates = {name: narrowed(own) for name, own in drawn.items() if own is not None}
        for kind in by_metrics[names] if len(rates) == len(names) else ():
            # A ratio of rates that are all 0 is undefined: nothing is uneven in that draw.
            gaps = np.nan_to_num(kind.value(rates, across), nan=kind.fair)
            sign = 1.0 if kind.kind == "difference" else -1.0
            band, p = judged(sign * gaps, sign * values[kind.name], level)
            found[kind.name] = (sign * band, p)
    return found


def chance_gaps(
    counts: CountArray, names: Iterable[str], *, level: float = LEVEL, seed: int = 0
) -> dict[str, float]:
    """How large gaps chance alone makes where groups do not differ; a smaller one is no evidence.

    Parameters
    ----------
    counts : ndarray of int, shape (n_groups, n_classes, n_classes)
        Confusion counts.
    names : iterable of str
        Of gaps, such as ``equalized_odds_difference``.
    level, seed
        Share of the draws that stay within, in (0, 1), and seed of the draws.

    Returns
    -------
    dict of str to float
        NaN where the gap is undefined.
    """
    check_level(level)
    rows, rng = np.asarray(counts, np.int64), np.random.default_rng(seed)
    cells = make_cells(rows[..., None], np.ones(len(rows), np.bool_), replicates=0, rng=rng)
    wanted = dict.fromkeys(names, np.nan)
    kinds = [kind for kind in gap_kinds(BY_GROUP.values()) if kind.name in wanted]
    values = {kind.name: float(kind.of_counts(rows)) for kind in kinds}
    found = null_gaps(kinds, permuted(cells, seed), values, "macro", level)
    return wanted | {name: band for name, (band, _) in found.items()}


def judged(gaps: FloatArray, value: float, level: float) -> tuple[float, float]:
    """What draws of a gap stay within, and how often they reach a value (Monte Carlo test).

    >>> judged(np.arange(99.0), 95.0, 0.95)
    (94.0, 0.05)
    """
    band = float(np.quantile(gaps, level, method="inverted_cdf"))
    return band, float((1 + (gaps >= value - TIE).sum()) / (1 + len(gaps)))


def permuted(cells: Cells, seed: int) -> Drawn:
    """Draws of metrics by group whose hits are permuted over the compared groups.

    Streams of random numbers depend on the metric alone, and groups are put in the order of their
    counts: neither other metrics and columns nor the names and order of groups change a result.
    """

    @lru_cache(maxsize=4)  # equalized odds has the draws of its two rates
    def drawn(own: str) -> FloatArray:
        joint = JOINT.get(own) if cells.rows.shape[-1] > 2 else None
        rng = np.random.default_rng((seed, 2, list(BY_GROUP).index(joint or own)))
        rates = _together(own, cells, rng) if joint else _shares(own, cells, rng)
        if own == "f1":
            rates = f1_of_jaccard(rates)
        elif own == "balanced_accuracy":
            rates = skipping_nan("mean", rates, -1)[..., None]
        return rates

    def draw(name: str) -> Rates:
        own = COMPLEMENTS.get(name, name)
        rates, overall = drawn(own), BY_GROUP[name].values(cells.weights[-1:])
        return 1 - rates if own != name else rates, overall

    return draw


def alike_errors(parts: Mapping[str, Measured], seed: int) -> Drawn:
    """Draws of mean errors by group around one mean: Student's t with each group's own spread."""

    def draw(name: str) -> Rates | None:
        part = parts[name]
        rows, spread, overall = part.rows[:-1, 0], part.spread[:-1, 0], part.values[-1]
        if np.isnan(spread).any():
            return None
        rng = np.random.default_rng((seed, 2))  # the same rows behind every error
        freedom = np.maximum(rows - 1, 1)
        error = spread * rng.standard_t(freedom, (DRAWS, len(freedom)))
        mean = overall + np.nansum(error * (rows / rows.sum()), axis=1, keepdims=True)
        return (overall + error)[..., None], mean[..., None]

    return draw


def _together(name: str, cells: Cells, rng: np.random.Generator) -> FloatArray:
    """Rates of classes whose rows overlap, from whole confusion tables, as deviations from even.

    Predictions are permuted within every true class (for false omission, truths within every
    predicted one). That alone leaves rates apart where groups differ in their mix of classes, which
    is no deviation: the rate that is expected of each group is taken off, that of all put there.
    """
    metric, k = BY_GROUP[name], cells.compared
    turned = JOINT[name] == "false_omission_rate"
    whole = [cells.weights[:k], cells.squares[:k]]
    weights, squares = (np.swapaxes(w, 1, 2) if turned else w for w in whole)
    classes = range(weights.shape[1])
    tables = [_effective(weights[:, c], squares[:, c]) for c in classes]
    drawn = np.stack(_permuted(tables, rng), axis=2)
    expected = np.stack(
        [np.outer(t.sum(axis=1), t.sum(axis=0)) / max(t.sum(), 1) for t in tables], 1
    )
    if turned:
        drawn, expected = np.swapaxes(drawn, 2, 3), np.swapaxes(expected, 1, 2)
    even = metric.values(expected.sum(axis=0, keepdims=True))
    return metric.values(drawn) - metric.values(expected) + even


def _permuted(
    tables: Sequence[NDArray[np.int64]], rng: np.random.Generator
) -> list[NDArray[np.number]]:
    """Every table permuted, the groups drawn in the order of their counts."""
    order = np.lexsort(np.concatenate(tables, axis=1).T)
    back = np.argsort(order)
    draws = min(DRAWS, max(FEWEST, CELLS // len(order)))
    return [permuted_tables(table[order], draws, rng)[:, back] for table in tables]


def _shares(name: str, cells: Cells, rng: np.random.Generator) -> FloatArray:
    """Proportions of permuted tables, shape ``(draws, groups, classes)``."""
    tables = effective_tables(name, cells)
    found = []
    for table, drawn in zip(tables, _permuted(tables, rng), strict=True):
        kept = drawn if len(tables) == 1 and table.shape[1] > 2 else drawn[..., -1:]
        found.append(ratio_or_nan(np.asarray(kept, np.float64), table.sum(axis=1)[:, None]))
    return np.concatenate(found, axis=-1)


def effective_tables(name: str, cells: Cells) -> list[NDArray[np.int64]]:
    """Of every class the compared groups by outcome ``(groups, outcomes)``; the last is the hit.

    Of metrics in `EXCLUSIVE` with more than two classes one table, with the classes as outcomes.
    Rows, or effective rows where rows are weighted.
    """
    parts = {"f1": jaccard_parts, "balanced_accuracy": recall_parts}.get(name)
    parts = parts or BY_GROUP[name].parts
    k = cells.compared
    tables = _tables(name, parts(cells.weights[:k]))
    if not cells.weighted:
        return [np.asarray(table, np.int64) for table in tables]
    squares = _tables(name, parts(cells.squares[:k]))
    return [_effective(table, square) for table, square in zip(tables, squares, strict=True)]


def _tables(name: str, parts: Parts) -> list[FloatArray]:
    hits, rows = (np.asarray(part, np.float64) for part in parts)
    classes = hits.shape[1]
    if name in EXCLUSIVE and classes > 1:
        return [hits]
    return [np.stack([rows[:, c] - hits[:, c], hits[:, c]], axis=1) for c in range(classes)]


def _effective(table: FloatArray, squares: FloatArray) -> NDArray[np.int64]:
    """Rows without weights that would tell as much, from Σw and Σw² of a table."""
    kish = ratio_or_nan(table.sum(axis=1) ** 2, squares.sum(axis=1))
    total, spread = table.sum(axis=0), squares.sum(axis=0)
    p = np.nan_to_num(total / max(total.sum(), np.finfo(float).tiny))
    varying = (spread * (1 - 2 * p) + p**2 * spread.sum()).sum()
    factor = (1 - (p**2).sum()) * spread.sum() / varying if varying > 0 else 1.0
    shares = ratio_or_nan(table, table.sum(axis=1)[:, None])
    return np.rint(np.nan_to_num(shares * (kish * (factor or 1.0))[:, None])).astype(np.int64)


def permuted_tables(
    table: NDArray[np.int64], draws: int, rng: np.random.Generator
) -> NDArray[np.number]:
    """Tables of the same margins, as permuted rows give; ``(draws, groups, outcomes)``."""
    if table.sum() >= LARGEST:
        return _normal_tables(table, draws, rng)
    groups, outcomes = table.shape
    # Draws last: they lie together in memory.
    found = np.zeros((groups, outcomes, draws), np.int64)
    left = np.repeat(table.sum(axis=0)[:, None], draws, axis=1)
    for g in range(groups - 1):
        wanted = np.full(draws, table[g].sum())
        pool = left.sum(axis=0)
        for c in range(outcomes - 1):
            pool = pool - left[c]
            taken = rng.hypergeometric(left[c], pool, wanted)
            found[g, c] = taken
            wanted = wanted - taken
        found[g, -1] = wanted
        left = left - found[g]
    found[-1] = left
    return np.moveaxis(found, -1, 0)


def _normal_tables(
    table: NDArray[np.int64], draws: int, rng: np.random.Generator
) -> NDArray[np.number]:
    """The same in the limit of many rows: normal around the expected table, the margins held."""
    rows, outcomes = (table.sum(axis=axis) / table.sum() for axis in (1, 0))
    expected = table.sum() * np.outer(rows, outcomes)
    noise = rng.standard_normal((draws, *table.shape)) * np.sqrt(expected)
    noise = noise - rows[:, None] * noise.sum(axis=1, keepdims=True)
    return np.asarray(expected + noise - outcomes * noise.sum(axis=2, keepdims=True))
