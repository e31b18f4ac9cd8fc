"""One HTML report per run: a single file that works offline, on paper and on a phone."""

from __future__ import annotations

from evaluation.report.build import write_report

__all__ = ["write_report"]
