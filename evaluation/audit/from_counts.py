"""A tally from counts that are there already: of clients' test rows, of a run's last round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from evaluation.audit.labels import ordered_classes
from evaluation.audit.schema import Axis, Schema, ordered_levels
from evaluation.audit.sparse import IntArray, SparseCounts
from evaluation.audit.tally import CROSSED, Tally
from evaluation.errors import InputError
from evaluation.records import Arm, Run


def crossed_schema(
    classes: Sequence[str],
    groups: Sequence[str],
    sensitive: Sequence[str] = (),
    clients: Sequence[str] = (),
    bins: int = 0,
) -> Schema:
    """The schema of counts by one cross of sensitive columns.

    Of two classes the second is the positive one. Crossed groups have " × " between their values;
    without `sensitive` they are those of a column ``group``, and a single group is everyone.
    Columns whose values cannot be told apart in the groups' names become one.
    """
    if len(groups) > 1 and not sensitive:
        sensitive = ("group",)
    values = _values(groups, len(sensitive))
    apart = all(len(row) == len(sensitive) for row in values)
    names = sensitive if apart else (CROSSED.join(sensitive),)
    axes = tuple(
        Axis(name, ordered_levels(row[place] for row in values)) for place, name in enumerate(names)
    )
    positive = classes[1] if len(classes) == 2 else None
    return Schema(
        task="classification",
        classes=ordered_classes(classes, positive),
        axes=axes if sensitive else (),
        clients=tuple(sorted(clients)) or ("all",),
        positive=positive,
        bins=bins,
    )


def dense_tally(
    schema: Schema,
    classes: Sequence[str],
    groups: Sequence[str],
    confusion: Mapping[str, IntArray],
    scores: Mapping[str, IntArray] | None = None,
) -> Tally:
    """A tally, under a schema of `crossed_schema`, from one full array of each client.

    `confusion` has shape ``(groups, classes, classes)``, `scores` ``(groups, scored, 2, bins)``
    with the scored classes in the order of ``schema.score_classes``.
    """
    places, lead = _group_places(schema, groups), schema.group_shape
    order = [classes.index(name) for name in schema.classes]

    def filled(tables: Mapping[str, IntArray], last: tuple[int, ...]) -> SparseCounts:
        full = np.zeros((lead[0], prod(lead[1:]), *last), np.int64)
        for client, values in tables.items():
            full[schema.clients.index(client), places] = values
        keys = np.flatnonzero(full).astype(np.int64)
        return SparseCounts((*lead, *last), keys, full.ravel()[keys, None])

    ordered = {client: own[:, order][:, :, order] for client, own in confusion.items()}
    counts = filled(ordered, (len(order), len(order)))
    if scores is None:
        return Tally(schema, counts)
    return Tally(schema, counts, filled(scores, (len(schema.score_classes), 2, schema.bins or 0)))


def run_tally(run: Run, arm: str) -> tuple[Tally, tuple[str, ...]]:
    """The counts of an arm's last measured round over all clients, with notes about them."""
    chosen = next((own for own in run.arms if own.name == arm), None)
    if chosen is None:
        known = ", ".join(own.name for own in run.arms)
        raise InputError(f"{run.path}: no arm {arm!r}; there are: {known}")
    last = run.final_round(chosen)
    if last is None:
        raise InputError(f"{run.path}: arm {arm!r} has no round whose model was tested yet")
    counts = {
        _client(run, chosen, entry.client): entry.test_counts
        for entry in last.clients
        if entry.test_counts is not None
    }
    sensitive = run.sensitive.split(CROSSED) if run.sensitive else ()
    schema = crossed_schema(run.classes, run.groups, sensitive, tuple(counts))
    notes = [
        f"Counts of arm {arm}, round {last.number} of {run.rounds}, on the clients' test rows."
    ]
    absent = run.splits[chosen.split].clients - len(counts)
    if absent:
        notes.append(f"{absent} clients gave no counts in that round; their rows are not in it.")
    return dense_tally(schema, run.classes, run.groups, counts), tuple(notes)


def _client(run: Run, arm: Arm, client: int) -> str:
    """A client's name; where it has none, its number, of one width so that numbers sort.

    A reference divides the rows anew: its clients are not those that have names.
    """
    name = run.client_name(client)
    if name != str(client) and not arm.reference:
        return name
    return f"{client:0{len(str(run.splits[arm.split].clients - 1))}d}"


def _values(groups: Sequence[str], columns: int) -> list[tuple[str, ...]]:
    """Values of the crossed columns in each group; names alone that cannot be taken apart."""
    found = [tuple(name.split(CROSSED)) for name in groups]
    apart = all(len(values) == columns for values in found)
    return found if apart else [(name,) for name in groups]


def _group_places(schema: Schema, groups: Sequence[str]) -> IntArray:
    """Row-major position of every group among the crossed levels."""
    sizes = schema.group_shape[1:]
    if not sizes:
        return np.zeros(len(groups), np.int64)
    columns = zip(*_values(groups, len(sizes)), strict=True)
    index = [
        np.array([axis.levels.index(value) for value in column])
        for axis, column in zip(schema.axes, columns, strict=True)
    ]
    return np.asarray(np.ravel_multi_index(index, sizes), np.int64)
