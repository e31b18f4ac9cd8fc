"""Tallies of rows in memory, for the tests of what is computed from them."""

from dataclasses import replace
from typing import Any

import numpy as np

from evaluation.audit.gather import Gather
from evaluation.audit.schema import EVERYONE, Axis, Schema
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
    flat = np.ravel_multi_index((client, *columns, y_true, y_pred), shape)
    gather = weighted(shape, flat, weight)
    return Tally(replace(schema, place=gather.place), gather.counts(shape))


def weighted(shape: tuple[int, ...], flat: Any, weight: Any) -> Gather:
    """Rows gathered by cell, with their weights unless these are None."""
    gather = Gather(() if weight is None else ("plain", "squared"))
    numbers = None if weight is None else np.asarray(weight, np.float64)
    gather.add(shape, np.asarray(flat), numbers)
    return gather


def tally_of_errors(errors: Any, group: Any, levels: int) -> Tally:
    """Count errors of a regression."""
    schema = Schema("regression", (), (Axis("g", tuple(map(str, range(levels)))),))
    return errors_tally(schema, errors, group)


def errors_tally(schema: Schema, errors: Any, flat: Any) -> Tally:
    """Sum errors by cell of a schema."""
    gather = Gather(("plain", "absolute", "squared"))
    gather.add(schema.group_shape, np.asarray(flat, np.int64), np.asarray(errors, np.float64))
    counted = gather.counts(schema.group_shape)
    return Tally(replace(schema, place=gather.place), errors=counted)
