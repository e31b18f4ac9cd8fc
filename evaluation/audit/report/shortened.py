"""Many groups: pages show the lowest and the highest, ``report.json`` has all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluation.audit.report.judged import CLEAR, is_main, state
from evaluation.report.panels import extremes, others

Data = dict[str, Any]


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
