"""Reading a gap: is it clear of what chance makes, and in which unit is it."""

from __future__ import annotations

from typing import Any

from evaluation.report.scales import Unit

Data = dict[str, Any]

CLEAR, CHANCE, UNDEFINED = "clear", "not clear", "undefined"
SYMBOLS = {CLEAR: "▲", CHANCE: "≈", UNDEFINED: "–"}
WORDS = {CLEAR: "clear gap", CHANCE: "not clear", UNDEFINED: "undefined"}
SCORE_NUMBERS = ("roc_auc", "average_precision", "brier")
"""Score metrics that are written as numbers, not in percent."""
ASIDE = (
    "base_rate", "count", "false_discovery_rate", "false_negative_rate", "true_negative_rate",
    "zero_one_loss",
)  # fmt: skip
"""Metrics that no finding is made of: of the labels alone, or one less another metric."""


def state(gap: Data, level: float) -> str:
    """Say whether a gap is clear of chance.

    Parameters
    ----------
    gap : dict
        Of a `Gap`: judged by its test corrected by Holm; failing that, by what chance alone makes;
        failing that, by whether its interval leaves out equality.
    level : float
        Confidence level.
    """
    own = gap["estimate"]
    if own["value"] is None:
        return UNDEFINED
    if gap["p_holm"] is not None:
        return CLEAR if gap["p_holm"] < 1 - level else CHANCE
    if gap["chance"] is not None:
        return CLEAR if own["value"] > gap["chance"] else CHANCE
    if own["low"] is None:
        return UNDEFINED
    clear = own["low"] > 0 if gap["kind"] == "difference" else own["high"] < 1
    return CLEAR if clear else CHANCE


def unit_of(audit: Data, metric: str) -> Unit:
    """Unit of a metric by group."""
    if audit["schema"]["task"] == "regression" or metric in ("count", *SCORE_NUMBERS):
        return "number"
    return "share"


def gap_unit(audit: Data, gap: Data) -> Unit:
    """Unit of a gap."""
    return "ratio" if gap["kind"] == "ratio" else unit_of(audit, gap["metric"])


def is_main(gap: Data) -> bool:
    """Whether a gap is a plain difference between groups; the others are read after it."""
    plain = gap["kind"] == "difference" and gap["method"] == "between_groups"
    return plain and not gap["name"].endswith("_mean")


def is_finding(gap: Data) -> bool:
    """Whether a gap is one that the findings are made of: each is told once, and of the model."""
    return is_main(gap) and gap["metric"] not in ASIDE


def cross(by: list[str] | tuple[str, ...]) -> str:
    """Name of a cross of columns."""
    return " × ".join(by) or "everyone"


def metric_of(comparison: Data, name: str) -> Data | None:
    """The metric by group behind a gap, where there is one."""
    return next((m for m in comparison["metrics"] if m["name"] == name), None)


def subgroup_unit(metric: str) -> Unit:
    """Unit of what a subgroup is judged by: rates are shares, mean errors are numbers."""
    return "share" if metric.endswith("_rate") or metric in ("accuracy", "error") else "number"
