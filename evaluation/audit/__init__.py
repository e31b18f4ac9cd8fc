"""Auditing tables of predictions: exact from counts, mergeable, with intervals and tests.

Read rows into a `Tally` (`tally_files`, `tally_frame`, `tally_arrays`), or add up the tallies of
many sites (`read_counts`, ``+``); `audit` computes from it all that reports, gates and pictures
need. Importing this costs numpy only.
"""

from __future__ import annotations

from evaluation.audit.compare import compare_groups
from evaluation.audit.counts_file import merge_counts, read_counts, write_counts
from evaluation.audit.frontier import frontiers
from evaluation.audit.gate import judge, parse_condition
from evaluation.audit.junit import junit_xml
from evaluation.audit.metrics import BY_GROUP
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Audit
from evaluation.audit.read import tally_arrays, tally_files, tally_frame
from evaluation.audit.regression import BY_ERROR
from evaluation.audit.report import write_reports
from evaluation.audit.run import audit
from evaluation.audit.schema import Axis, Schema
from evaluation.audit.scores import score_comparisons
from evaluation.audit.settings import ReadSettings
from evaluation.audit.subgroups import search_subgroups
from evaluation.audit.tally import Tally

__all__ = [
    "BY_ERROR",
    "BY_GROUP",
    "Audit",
    "AuditOptions",
    "Axis",
    "ReadSettings",
    "Schema",
    "Tally",
    "audit",
    "compare_groups",
    "frontiers",
    "judge",
    "junit_xml",
    "merge_counts",
    "parse_condition",
    "read_counts",
    "score_comparisons",
    "search_subgroups",
    "tally_arrays",
    "tally_files",
    "tally_frame",
    "write_counts",
    "write_reports",
]
