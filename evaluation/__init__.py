"""Group counts, fairness metrics, intervals and the evaluation report.

Importing the package costs numpy only: the report loads Jinja2 when it is written.
"""

from __future__ import annotations

from pathlib import Path

from evaluation.audit.null import chance_gaps
from evaluation.bootstrap import bootstrap_intervals, difference_interval
from evaluation.clients import (
    ClientFairness,
    client_accuracies,
    client_fairness,
    missing_class_weights,
    weighted_recall,
)
from evaluation.counts import GroupCounts
from evaluation.errors import InputError
from evaluation.export import summary_table
from evaluation.intervals import Interval, wilson_interval
from evaluation.records import Run
from evaluation.registry import METRICS, Metric, get_metric
from evaluation.run import read_run
from evaluation.summary import ArmSummary, Comparison, compare, summarise

__all__ = [
    "METRICS",
    "ArmSummary",
    "ClientFairness",
    "Comparison",
    "GroupCounts",
    "InputError",
    "Interval",
    "Metric",
    "Run",
    "bootstrap_intervals",
    "chance_gaps",
    "client_accuracies",
    "client_fairness",
    "compare",
    "difference_interval",
    "get_metric",
    "missing_class_weights",
    "read_run",
    "summarise",
    "summary_table",
    "weighted_recall",
    "wilson_interval",
    "write_report",
]


def write_report(run_dir: Path) -> Path:
    """Write ``report.html`` and ``report.json`` into a run directory; see `evaluation.report`."""
    from evaluation.report.build import write_report as write

    return write(run_dir)
