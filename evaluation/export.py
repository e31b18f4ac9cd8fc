"""Summaries as plain tables and JSON."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from evaluation.bootstrap import REPLICATES
from evaluation.clients import ClientFairness
from evaluation.intervals import Interval
from evaluation.records import Run
from evaluation.registry import METRICS
from evaluation.summary import GAPS, ArmSummary, Comparison, summarise

SCHEMA = 1
NO_GROUPS = "There is one group only ('{}'): group gaps and the worst group are not defined."


def summary_table(run: Run, *, replicates: int = REPLICATES) -> list[dict[str, Any]]:
    """Return one flat dictionary per arm; an interval gives ``name``, ``name_low``, ``name_high``.

    Undefined numbers are None, so that the table is plain JSON.
    """
    return [_flat(summary) for summary in summarise(run, replicates=replicates)]


def _flat(summary: ArmSummary) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for field in dataclasses.fields(summary):
        value = getattr(summary, field.name)
        if isinstance(value, Interval):
            row |= _flat_interval(field.name, value)
        elif isinstance(value, ClientFairness):
            numbers = dataclasses.asdict(value)
            row |= {f"client_{key}": plain(v) for key, v in numbers.items() if key != "clients"}
        elif field.name == "gaps":
            for name in GAPS:
                row |= _flat_interval(name, value.get(name))
        elif isinstance(value, tuple):
            row[field.name] = len(value)
        elif not isinstance(value, dict):
            row[field.name] = plain(value)
    return row


def _flat_interval(name: str, value: Interval | None) -> dict[str, Any]:
    ends = (value.value, value.low, value.high) if value else (math.nan,) * 3
    keys = (name, f"{name}_low", f"{name}_high")
    return {key: plain(end) for key, end in zip(keys, ends, strict=True)}


def plain(value: Any) -> Any:
    """Turn records into what JSON can hold: undefined numbers into None, tuples into lists."""
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def report_data(run: Run, summaries: list[ArmSummary], changes: list[Comparison]) -> dict[str, Any]:
    """Return the content of ``report.json``."""
    notes = list(run.notes)
    if not run.has_groups:
        notes.append(NO_GROUPS.format(run.groups[0]))
    about = ("name", "seed", "classes", "groups", "sensitive", "rounds", "engine", "versions")
    return {
        "schema": SCHEMA,
        "run": {key: plain(getattr(run, key)) for key in about},
        "baseline": run.baseline.name if run.baseline else None,
        "arms": [plain(summary) for summary in summaries],
        "comparisons": [plain(change) for change in changes],
        "metrics": {
            name: {"direction": metric.direction, "description": metric.description}
            for name, metric in METRICS.items()
        },
        "notes": notes,
        "warnings": list(run.warnings),
    }
