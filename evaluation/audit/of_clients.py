"""The audit of a run whose clients report one figure each, and no counts by group.

All that can be compared then are clients: how far the worst is behind, how even the figure is, and,
where clients say how many rows it rests on, whether chance alone makes such differences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from evaluation.audit.null import chance_gaps
from evaluation.clients import client_fairness
from evaluation.errors import InputError
from evaluation.intervals import LEVEL
from evaluation.numbers import called
from evaluation.results import ClientValues, Column, Results, Table, Value

NO_METHOD = "{path}: no arm {name!r}; there are: {known}"
OF_LOSSES = (
    "Clients report mean losses alone, without the rows behind them: there are no intervals, no "
    "test against chance, and no groups to compare."
)
OF_ACCURACIES = (
    "Clients report how many of their test rows are classified correctly, and nothing by group: "
    "this compares clients (client fairness) and no groups of people."
)
EVEN = "Gap: of the best client and the worst. Jain and Gini: 1 and 0 are even."
CHANCE = (
    " Chance: the gap that chance alone stays under in {level:g} % of draws if the model serves "
    "all clients alike; a larger one is clear."
)


def audit_clients(
    found: Results,
    values: ClientValues,
    *,
    title: str,
    methods: tuple[str, ...] = (),
    level: float = LEVEL,
    seed: int = 0,
) -> Results:
    """Compare the clients of a run: its results, and its figure of each client.

    `methods` are those whose figures are wanted, empty: all; `level` is in (0, 1), `seed` of the
    draws by chance.
    """
    for name in methods:
        if name not in values.values:
            known = ", ".join(values.values)
            raise InputError(NO_METHOD.format(path=found.name, name=name, known=known))
    own = {name: values.values[name] for name in methods or values.values}
    chosen = replace(values, values=own)
    return Results(
        name=title,
        seed=None,
        system=found.system,
        title=f"{found.name}, {found.title}",
        about=(f"Audited: {values.title}",),
        warnings=(OF_ACCURACIES if values.counted else OF_LOSSES,),
        tables=(_evenness(chosen, level, seed), chosen.table()),
        clients=chosen,
    )


def _evenness(values: ClientValues, level: float, seed: int) -> Table:
    """A row for each method: mean, spread, worst, and the gap with what chance makes of it."""
    kind, better, share = values.kind, values.better, values.counted
    # More evenness is always better, whichever way the figure itself goes.
    columns = (
        Column("method", "text"),
        Column("clients", "count"),
        Column("mean", kind, better),
        Column("sd", kind, "lower"),
        Column("worst", kind, better),
        Column("best", kind, better),
        Column("gap", kind, "lower"),
        *((Column("chance", kind),) if share else ()),
        Column("Jain", "number", "higher"),
        Column("Gini", "number", "lower"),
        Column("worst client", "text"),
    )
    rows: list[tuple[Value, ...]] = []
    for method, by_client in values.values.items():
        known = {name: value for name, value in by_client.items() if value is not None}
        fairness = client_fairness(list(known.values()))
        worst, best = fairness.worst, fairness.best
        if better == "lower":
            worst, best = best, worst
        at = next((name for name, value in known.items() if value == worst), "")
        rows.append(
            (
                method,
                fairness.clients,
                fairness.mean,
                fairness.sd,
                worst,
                best,
                abs(best - worst),
                *((_chance(values, known, level, seed),) if share else ()),
                fairness.jain,
                fairness.gini,
                called(at) if at else "–",
            )
        )
    legend = EVEN + (CHANCE.format(level=100 * level) if share else "")
    defined = (
        tuple(None if isinstance(own, float) and math.isnan(own) else own for own in row)
        for row in rows
    )
    return Table(columns, tuple(defined), legend=legend)


def _chance(
    values: ClientValues, known: Mapping[str, float], level: float, seed: int
) -> float | None:
    """The gap that chance alone stays under; None without two clients."""
    if len(known) < 2:
        return None
    sizes = np.array([values.rows[name] for name in known])
    hits = np.rint(np.array(list(known.values())) * sizes).astype(np.int64)
    counts = np.zeros((len(known), 2, 2), np.int64)
    counts[:, 0, 0], counts[:, 0, 1] = hits, sizes - hits
    gap = "accuracy_difference"
    return chance_gaps(counts, [gap], level=level, seed=seed)[gap]
