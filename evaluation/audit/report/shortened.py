"""Many groups: pages show the lowest and the highest, ``report.json`` has all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluation.audit.report.judged import CLEAR, is_main, state

Data = dict[str, Any]

MOST = 20
"""Groups that a table shows: half of them lowest, half highest."""


def extremes(values: Sequence[float | None], most: int = MOST) -> list[int]:
    """Places of the lowest and of the highest values in order of place; of few values, all."""
    if len(values) <= most:
        return list(range(len(values)))
    known = sorted((v, i) for i, v in enumerate(values) if v is not None)
    ends = known if len(known) <= most else [*known[: most // 2], *known[-(most - most // 2) :]]
    return sorted(i for _, i in ends)


def others(total: int, shown: int) -> str:
    """What a table leaves out, in words; empty where it has all."""
    if shown == total:
        return ""
    return f"The lowest and the highest of {total:,} groups; {total - shown:,} others: report.json."


def leading(audit: Data, item: Data) -> str:
    """The metric to look at first: that with the gap that is most surely there, else the first."""
    names = [metric["name"] for metric in item["metrics"]]
    level = float(audit["options"]["level"])
    clear = [
        gap
        for gap in item["gaps"]
        if is_main(gap) and state(gap, level) == CLEAR and gap["lowest"] and gap["metric"] in names
    ]
    clear.sort(key=lambda gap: -(gap["estimate"]["low"] or 0.0))
    return clear[0]["metric"] if clear else next(iter(names), "")


def shortened(audit: Data, item: Data) -> Data:
    """A comparison (also of scores) with those groups alone that its leading metric sets apart."""
    name = leading(audit, item)
    metric = next((m for m in item["metrics"] if m["name"] == name), None)
    values = [own["value"] for own in metric["groups"]] if metric else [None] * len(item["groups"])
    shown = extremes(values)

    def some(whole: Sequence[Any]) -> list[Any]:
        return [whole[i] for i in shown]

    rows = {"rows": some(item["rows"])} if "rows" in item else {}
    metrics = [m | {"groups": some(m["groups"])} for m in item["metrics"]]
    note = others(len(values), len(shown))
    return item | rows | {"groups": some(item["groups"]), "metrics": metrics, "others": note}
