"""Attacks on a run (`fairfed attack`), as its report tells them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = "attacks.json"
UNKNOWN = "–"


def attacks_of(run: Path) -> list[dict[str, str]]:
    """Rows of the report's table; none where a run was not attacked."""
    return [
        {
            "arm": arm,
            "target": one["target"],
            "attack": one["attack"],
            "group": one["group"] or "all",
            "members": f"{one['members']:,}",
            "others": f"{one['others']:,}",
            "auc": percent(one["auc"]),
            "found": percent(one["found"]),
        }
        for arm, one in _kept(run, "arms")
    ]


def inverted_of(run: Path) -> list[dict[str, str]]:
    """What inversion of updates came to; nothing where it was not tried."""
    return [
        {
            "arm": arm,
            "target": one["target"],
            "recognised": f"{one['recognised']} of {one['updates']}",
            "chance": f"{100 * one['chance']:.0f}",
            "likeness": f"{one['likeness']:.2f}",
        }
        for arm, one in _kept(run, "inverted")
    ]


def _kept(run: Path, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each attack of a kind that a run has on its disk, with its arm."""
    path = run / FILE
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for arm, attacks in kept.get(kind, {}).items():
        for one in attacks:
            yield arm, one


def percent(interval: Mapping[str, Any]) -> str:
    """An interval in percent; a dash where it is undefined."""
    if interval["value"] is None:
        return UNKNOWN
    value, low, high = (100 * float(interval[name]) for name in ("value", "low", "high"))
    return f"{value:.1f} ({low:.1f} to {high:.1f})"
