"""Reading a gap: is it clear of what chance makes, and in which unit is it."""

from __future__ import annotations

from typing import Any

from evaluation.audit.metrics import COMPLEMENTS
from evaluation.numbers import Unit
from evaluation.numbers import gap as write_gap

Data = dict[str, Any]

CLEAR, NOT_SHOWN, UNDEFINED = "clear", "not shown", "undefined"
SYMBOLS = {CLEAR: "▲", NOT_SHOWN: "○", UNDEFINED: "–"}
WORDS = {CLEAR: "clear gap", NOT_SHOWN: "not shown", UNDEFINED: "undefined"}
SCORE_NUMBERS = ("roc_auc", "average_precision", "brier")
"""Score metrics that are written as numbers, not in percent."""
ASIDE = ("base_rate", "count", *COMPLEMENTS)
"""Metrics that no finding is made of: of the labels alone, or one less another metric."""


def state(gap: Data, level: float) -> str:
    """Say whether a gap is clear of chance, or cannot be told from it with these rows.

    It is judged by its own test, which no other gap has part in, and by what chance alone makes;
    failing these, by whether its interval leaves out equality.
    """
    own = gap["estimate"]
    if own["value"] is None:
        return UNDEFINED
    if gap["p"] is not None or gap["chance"] is not None:
        rare = gap["p"] is None or gap["p"] <= 1 - level + 1e-12
        beyond = gap["chance"] is None or own["value"] > gap["chance"]
        return CLEAR if rare and beyond else NOT_SHOWN
    if own["low"] is None:
        return UNDEFINED
    clear = own["low"] > 0 if gap["kind"] == "difference" else own["high"] < 1
    return CLEAR if clear else NOT_SHOWN


def verdict(gap: Data, level: float, unit: Unit) -> str:
    """The state in words: what is not shown could be as large as what would be detected."""
    found = state(gap, level)
    words = WORDS[found]
    if found == NOT_SHOWN and gap["detectable"] is not None:
        words += f" (detectable: {write_gap(gap['detectable'], unit)})"
    return f"{words}; partly undefined" if gap["estimate"]["lacks"] else words


def unit_of(audit: Data, metric: str) -> Unit:
    """Unit of a metric by group."""
    if audit["schema"]["task"] == "regression" or metric in ("count", *SCORE_NUMBERS):
        return "number"
    return "share"


def gap_unit(audit: Data, gap: Data) -> Unit:
    """Unit of a gap."""
    return "ratio" if gap["kind"] == "ratio" else unit_of(audit, gap["metric"])


def is_main(gap: Data) -> bool:
    """Whether a gap is a plain difference of the model between groups; others are read after it."""
    plain = gap["kind"] == "difference" and gap["method"] == "between_groups"
    return plain and not gap["name"].endswith("_mean") and gap["metric"] != "base_rate"


def is_finding(gap: Data) -> bool:
    """Whether a gap is one that the findings are made of: each is told once, and of the model."""
    return is_main(gap) and gap["metric"] not in ASIDE


def cross(by: list[str] | tuple[str, ...]) -> str:
    """Name of a cross of columns."""
    return " × ".join(by) or "everyone"


def subgroup_unit(metric: str) -> Unit:
    """Unit of what a subgroup is judged by: rates are shares, mean errors are numbers."""
    return "share" if metric.endswith("_rate") or metric in ("accuracy", "error") else "number"
