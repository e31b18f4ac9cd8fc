"""Tallies of rows in memory, for the tests of what is computed from them."""

from typing import Any

import numpy as np

from evaluation.audit.schema import EVERYONE, WEIGHT_UNIT, Axis, Schema
from evaluation.audit.sparse import SparseCounts
from evaluation.audit.tally import Tally


def tally_of(
    y_true: Any,
    y_pred: Any,
    groups: dict[str, Any],
    *,
    classes: int = 2,
    client: Any = None,
    weight: Any = None,
    clients: int = 1,
    levels: int = 0,
) -> Tally:
    """Count rows; everything is given as indices, and names are numbers."""
    y_true, y_pred = np.asarray(y_true, int), np.asarray(y_pred, int)
    client = np.zeros(len(y_true), int) if client is None else np.asarray(client)
    columns = [np.asarray(column, int) for column in groups.values()]
    axes = tuple(
        Axis(name, tuple(map(str, range(max(levels, column.max(initial=0) + 1)))))
        for name, column in zip(groups, columns, strict=True)
    )
    names = tuple(f"c{i}" for i in range(clients)) if clients > 1 else (EVERYONE,)
    schema = Schema(
        "classification",
        tuple(map(str, range(classes))),
        axes,
        clients=names,
        positive=str(classes - 1),
        weighted=weight is not None,
    )
    shape = (*schema.group_shape, classes, classes)
    sums = np.ones((len(y_true), 1), np.int64)
    if weight is not None:
        units = [np.rint(np.asarray(weight) ** power / WEIGHT_UNIT) for power in (1, 2)]
        sums = np.stack([sums[:, 0], *units], axis=1).astype(np.int64)
    flat = np.ravel_multi_index((client, *columns, y_true, y_pred), shape)
    return Tally(schema, SparseCounts.collect(shape, flat, sums))


def tally_of_errors(errors: Any, group: Any, levels: int, unit: float = 1e-6) -> Tally:
    """Count errors of a regression."""
    errors, group = np.asarray(errors, float), np.asarray(group)
    schema = Schema("regression", (), (Axis("g", tuple(map(str, range(levels)))),), unit=unit)
    parts = [errors, np.abs(errors), errors**2]
    sums = [np.ones(len(errors)), *(np.rint(part / unit) for part in parts)]
    shape = schema.group_shape
    return Tally(
        schema,
        errors=SparseCounts.collect(shape, group, np.stack(sums, axis=1).astype(np.int64)),
    )
