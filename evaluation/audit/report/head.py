"""What a reader must know before any gap: the positive class, the classes, each group's rates."""

from __future__ import annotations

from evaluation.audit.labels import implied_positive
from evaluation.audit.report.judged import Data, unit_of

BINARY = ("base_rate", "selection_rate", "true_positive_rate", "false_positive_rate")
"""Metrics that come first where one class of two is the positive one."""
SHORT = {
    "selection_rate": "Selected",
    "true_positive_rate": "TPR",
    "false_positive_rate": "FPR",
    "balanced_accuracy": "Balanced",
    "roc_auc": "AUC",
    "average_precision": "AP",
    "calibration_error": "ECE",
    "brier": "Brier",
}
"""Heads of columns where there is little room."""
ALIKE = ("accuracy", "balanced_accuracy")
"""Those that come first of other classes: rates against the rest, averaged, say little."""
MOST = 4
"""Metrics that come first where none of these was computed."""
NAMED = 12
"""Classes that are named."""


def basis(audit: Data) -> str:
    """What was judged: the positive class of two, or how many classes became one number."""
    schema = audit["schema"]
    classes = schema["classes"]
    if schema["task"] == "regression":
        return "Regression: errors are prediction less truth."
    if not classes:
        return "No class occurs."
    if len(classes) == 1:
        return f"One class only: {classes[0]}."
    shown = ", ".join(classes[:NAMED])
    if len(classes) > NAMED:
        shown += f" and {len(classes) - NAMED} more"
    positive = _positive(schema)
    if positive is not None:
        return f"Positive class: {positive} (of: {shown})."
    if len(classes) == 2:
        return f"Two classes, neither of them positive: {shown}."
    across = audit["options"]["across"]
    joined = {"macro": "their mean", "worst": "that of the worst class"}[across]
    return f"{len(classes)} classes: {shown}. Rates are of each against the rest; shown: {joined}."


def rates(audit: Data, comparison: Data) -> list[Data]:
    """The metrics by group that come before the gaps, those of scores last.

    Each has a ``title`` (``short`` where there is little room), ``unit``, and the estimates of the
    comparison's ``groups`` and of everyone (``overall``).
    """
    named = {metric["name"]: metric for metric in comparison["metrics"]}
    first = BINARY if _positive(audit["schema"]) is not None else ALIKE
    chosen = [named[name] for name in first if name in named] or comparison["metrics"][:MOST]
    found = [_column(audit, own) for own in chosen]
    for scored in audit["scores"]:
        if scored["by"] != comparison["by"] or scored["groups"] != comparison["groups"]:
            continue
        alone = len({metric["scored"] for metric in scored["metrics"]}) == 1
        found += [
            _column(audit, own, "" if alone else f" of {own['scored']}")
            for own in scored["metrics"]
        ]
    return found


def _positive(schema: Data) -> str | None:
    """The class whose rates are shown; None where there are not two."""
    if len(schema["classes"]) != 2:
        return None
    return schema["positive"] or implied_positive(schema["classes"])


def _column(audit: Data, metric: Data, of: str = "") -> Data:
    return {
        "title": metric["title"] + of,
        "short": f"{SHORT.get(metric['name'], metric['title'])}{of}",
        "unit": unit_of(audit, metric["name"]),
        "groups": metric["groups"],
        "overall": metric["overall"],
    }
