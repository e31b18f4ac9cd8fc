"""Directories of runs of systems with results of their own, made by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.results import ClientValues, Column, Curve, Groups, Results, Table, write_results

LEFT = (Column("method", "text"),)
FIGURES = (Column("accuracy", better="higher"), Column("loss", "loss", "lower"))
COST = (Column("s", "seconds"),)


def results(rows: Mapping[str, tuple[float | None, float | None]], **changes: Any) -> Results:
    """Results with an accuracy and a loss by method."""
    table = Table((*LEFT, *FIGURES, *COST), tuple((m, *own, 1.0) for m, own in rows.items()))
    content = {
        "name": "demo", "seed": 0, "system": "peers", "title": "4 peers", "tables": (table,),
        "data": {"name": "demo"}, **changes,
    }  # fmt: skip
    return Results(**content)


def clients(**changes: Any) -> ClientValues:
    """Accuracies of two methods at three clients, one of which has a number for a name."""
    content = {
        "title": "accuracy on own test rows",
        "values": {
            "A": {"north": 0.9, "south": 0.5, "2": 0.8},
            "B": {"north": 0.7, "south": 0.7, "2": None},
        },
        "rows": {"north": 100, "south": 100, "2": 10},
        **changes,
    }
    return ClientValues(**content)


CURVE = Curve("Accuracy of unseen clients", {"A": ((1, 0.5), (2, None), (3, 0.7))})
COUNTED = Groups(("cat", "dog"), ("f", "m"), ("sex",))


def line(arm: str, number: int, counts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A line of ``rounds.jsonl`` with two named clients, the second of which failed."""
    north = {"client": 0, "name": "north", "error": None, "bytes_up": 1_500_000, "seconds": 2.0}
    south = {"client": 1, "name": "south", "error": "out of memory", "bytes_down": 500_000}
    if counts is not None:
        north["test_counts"], south["test_counts"] = counts["north"], counts["south"]
    return {"arm": arm, "round": number, "seconds": 3.0, "clients": [north, south]}


def system_run(
    path: Path,
    found: Results | None,
    lines: list[dict[str, Any]] | None = None,
    *,
    seed: int = 0,
    system: str = "peers",
    more: str = "",
) -> Path:
    """Write the directory of a run, under way without results."""
    path.mkdir(parents=True)
    text = f'name = "demo"\nseed = {seed}\nrounds = 3\n{more}\n[{system}]\n'
    (path / "config.toml").write_text(text)
    if found is not None:
        write_results(found, path)
    if lines is not None:
        (path / "rounds.jsonl").write_text("".join(json.dumps(own) + "\n" for own in lines))
    return path
