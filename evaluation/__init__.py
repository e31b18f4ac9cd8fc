"""Group counts, fairness metrics, intervals and the evaluation report.

Importing the package costs numpy only: the report loads Jinja2 when it is written.
"""

from __future__ import annotations

from evaluation.clients import (
    ClientFairness,
    client_accuracies,
    client_fairness,
    missing_class_weights,
    missing_recall,
)
from evaluation.counts import GroupCounts, sum_counts
from evaluation.errors import InputError
from evaluation.intervals import (
    Interval,
    bootstrap_interval,
    bootstrap_intervals,
    difference_interval,
    wilson_interval,
)
from evaluation.registry import METRICS, Metric, get_metric

__all__ = [
    "METRICS",
    "ClientFairness",
    "GroupCounts",
    "InputError",
    "Interval",
    "Metric",
    "bootstrap_interval",
    "bootstrap_intervals",
    "client_accuracies",
    "client_fairness",
    "difference_interval",
    "get_metric",
    "missing_class_weights",
    "missing_recall",
    "sum_counts",
    "wilson_interval",
]
