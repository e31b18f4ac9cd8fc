"""What each client adds to a global gap, by leaving it out.

Leave-one-out says what the gap would be over the other clients' rows. It is no decomposition: the
shares of the clients do not add up to the gap, two clients that make the same gap hide each other,
and one that balances the others has a negative share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.exact_sums import BITS, rounded, weights_of
from evaluation.audit.gaps import GAPS
from evaluation.audit.options import ALL, AuditOptions, Shown
from evaluation.audit.outcome import NAN, Contribution
from evaluation.audit.schema import Schema
from evaluation.audit.sparse import ExactArray, IntArray
from evaluation.audit.tally import CROSSED, Tally
from evaluation.rates import FloatArray

MAIN = (
    "equalized_odds_difference",
    "demographic_parity_difference",
    "accuracy_difference",
)
"""Gaps of a classification that clients add to."""

Gaps = Mapping[str, Callable[[NDArray[Any]], FloatArray]]


def contributions(
    tally: Tally, options: AuditOptions, shown: Shown = ALL
) -> tuple[Contribution, ...]:
    """Compare every main gap with what it would be without each client.

    Each number is what an audit of those rows alone would give: groups with fewer than
    ``options.min_group`` of them are left out. Weighted rows count by their weights.

    They come by cross of columns and gap, the client that adds most first; of fewer than two
    clients there is nothing to compare. ``gap`` names both, as a gate does:
    ``"equalized_odds_difference @ sex"``. A gap that is undefined over all rows is left out; one
    that is undefined without a client, or within one, is NaN.
    """
    if len(tally.schema.clients) < 2:
        return ()
    gaps = _gaps(tally.schema, options)
    return tuple(
        one
        for by in options.crosses(tally.schema.names)
        for found in _by_gap(tally, by, gaps, max(1, options.min_group), shown).values()
        for one in sorted(found, key=lambda one: (np.isnan(one.share), -one.share))
    )


def _gaps(schema: Schema, options: AuditOptions) -> Gaps:
    if schema.task == "regression":
        return {"mean_absolute_error_difference": _difference}
    return {name: partial(GAPS[name].of_counts, across=options.across) for name in MAIN}


def _difference(means: NDArray[Any]) -> FloatArray:
    """Largest difference; NaN under two groups."""
    return np.asarray(np.ptp(means) if len(means) > 1 else NAN)


def _numbers(table: ExactArray, schema: Schema) -> FloatArray:
    """What gaps are functions of: mean absolute errors, or confusion counts."""
    if schema.task == "classification":
        return weights_of(table)
    return rounded(table[:, 2], BITS * schema.place) / table[:, 0].astype(np.float64)


def _by_gap(
    tally: Tally, by: tuple[str, ...], gaps: Gaps, least: int, shown: Shown
) -> dict[str, list[Contribution]]:
    """Contributions of all clients to each gap that is defined, over one cross of columns."""
    counted, schema = tally.judged, tally.schema
    axes = [1 + schema.axis(name) for name in by]
    rest = range(len(schema.group_shape), len(counted.shape))
    kept = counted.marginal([0, *axes, *rest])
    inner = range(1, len(kept.shape))
    present, everyone = kept.marginal(inner).by_group(len(axes))
    published = shown.mask(by, [tally.group_name(by, int(key)) for key in present])
    # Keys rise, so the cells of a client lie together.
    ends = np.searchsorted(kept.along(0), np.arange(len(schema.clients) + 1))

    def sums_of(client: int) -> ExactArray:
        """What one client adds to `everyone`: of all clients at once it may not fit."""
        part = slice(ends[client], ends[client + 1])
        group, table = kept.some(part).marginal(inner).by_group(len(axes))
        sums = np.zeros_like(everyone)
        sums[np.searchsorted(present, group)] = table
        return sums

    def values(sums: ExactArray) -> dict[str, float]:
        enough = (_rows(sums) >= least) & published
        if not enough.any():
            return dict.fromkeys(gaps, NAN)
        found = _numbers(sums[enough], schema)
        return {name: float(gap(found)) for name, gap in gaps.items()}

    whole = {name: value for name, value in values(everyone).items() if not np.isnan(value)}
    found: dict[str, list[Contribution]] = {name: [] for name in whole}
    for k, client in enumerate(schema.clients if whole else ()):
        if not shown.contributes(by, client):
            continue
        sums = sums_of(k)
        own, without = values(sums), values(everyone - sums)
        for name, value in whole.items():
            found[name].append(
                Contribution(
                    client=client,
                    n=int(_rows(sums).sum()),
                    gap=f"{name} @ {CROSSED.join(by)}",
                    without=without[name],
                    share=value - without[name],
                    own=own[name],
                )
            )
    return found


def _rows(sums: ExactArray) -> IntArray:
    """Rows of each group."""
    return np.asarray(sums[..., 0].sum(axis=tuple(range(1, sums.ndim - 1))), np.int64)
