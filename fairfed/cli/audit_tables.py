"""What `fairfed audit` prints: the gate, the widest gaps, the worst subgroups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from evaluation.audit.outcome import Audit, Comparison, Estimate, Gap, Subgroup
from evaluation.audit.release import Release
from evaluation.audit.tally import CROSSED, Tally
from evaluation.report.scales import number
from evaluation.report.style import NBSP
from fairfed.cli.tables import titled

GAPS = 5
"""Gaps that are shown of each cross of columns."""
COMPLEMENTS = ("zero_one_loss", "true_negative_rate", "false_negative_rate", "false_discovery_rate")
"""Metrics that are 1 less another, so that their gap is the other's; it is in the report."""
SUBGROUPS = 5
"""Subgroups that are shown."""


def print_audit(console: Console, audit: Audit) -> None:
    """Summary of an audit; all of it is in the report."""
    console.print(f"\n[bold]{escape(audit.title)}[/bold]: {_count(audit.n, audit)} rows")
    for comparison in audit.comparisons:
        _print_gaps(console, audit, comparison)
    if audit.subgroups:
        _print_subgroups(console, audit)
    for note in audit.notes:
        console.print(f"Note: {escape(note)}", style="dim")
    for verdict in audit.gate:
        mark, style = ("✓ held", "green") if verdict.held else ("✗ failed", "bold red")
        console.print(Text.assemble((mark, style), f"  {verdict.message}"))


def print_counts(
    console: Console, tally: Tally, release: Release, notes: Sequence[str], path: Path
) -> None:
    """What a site's file of counts holds."""
    schema = tally.schema
    console.print(f"{schema.task}: {', '.join(schema.classes) or 'errors'}")
    for axis in schema.axes:
        console.print(f"{axis.name}: {', '.join(axis.levels)}", markup=False)
    console.print(f"clients: {', '.join(schema.clients)}", markup=False)
    for note in notes:
        console.print(f"Note: {escape(note)}", style="dim")
    console.print(f"Released: {release.words()}", markup=False)
    console.print(f"Counts: {path}", markup=False, soft_wrap=True)


def _print_gaps(console: Console, audit: Audit, comparison: Comparison) -> None:
    gaps = [gap for gap in comparison.gaps if _shown(gap)]
    widest = sorted(gaps, key=lambda gap: -gap.estimate.value)[:GAPS]
    number = len(comparison.groups)
    groups = f"{number} group" + ("" if number == 1 else "s")
    if comparison.suppressed:
        groups += f", {len(comparison.suppressed)} more too small to compare"
    title = f"{escape(CROSSED.join(comparison.by))}: {groups}"
    if not widest:
        console.print(f"{title}; nothing to compare")
        return
    level = f"{100 * audit.options.level:g} %"
    table = titled(title, "widest gaps", right=("gap", level, "by chance", "n", "p (Holm)"))
    table.add_column("lowest")
    table.add_column("highest")
    for gap in widest:
        estimate = gap.estimate
        table.add_row(
            escape(gap.title),
            _number(estimate.value, audit),
            _interval(estimate, audit),
            _number(gap.chance, audit),
            _count(estimate.n, audit),
            _p(gap.p_holm),
            escape(gap.lowest),
            escape(gap.highest),
        )
    console.print(table)


def _shown(gap: Gap) -> bool:
    """Differences between groups, once each: ratios and other conventions are in the report."""
    other = gap.kind != "difference" or gap.method != "between_groups"
    other = other or gap.name.endswith("_mean") or gap.metric in COMPLEMENTS
    return not (other or math.isnan(gap.estimate.value))


def _print_subgroups(console: Console, audit: Audit) -> None:
    table = titled(
        "worst subgroups", "rows where", "metric", right=("value", "rest", "surely worse by", "n")
    )
    for subgroup in audit.subgroups[:SUBGROUPS]:
        table.add_row(
            escape(_where(subgroup)),
            escape(subgroup.metric),
            _number(subgroup.estimate.value, audit),
            _number(subgroup.rest, audit),
            _number(subgroup.shortfall, audit),
            _count(subgroup.n, audit),
        )
    console.print(table)


def _where(subgroup: Subgroup) -> str:
    return ", ".join(f"{column} = {value}" for column, value in subgroup.where)


def _count(number: int, audit: Audit) -> str:
    """A count, redacted as in the report: terminals end up in logs."""
    if 0 < number <= audit.options.redact:
        return f"<= {audit.options.redact}"
    return f"{number:,}"


def _number(value: float, audit: Audit) -> str:
    """Shares to three places; errors of a regression, which may be of any size, to three digits."""
    if math.isnan(value):
        return "–"
    if audit.schema.task == "regression":
        return number(value).replace(NBSP, ",")
    return f"{value:.3f}"


def _interval(estimate: Estimate, audit: Audit) -> str:
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return "–"
    return f"{_number(estimate.low, audit)} to {_number(estimate.high, audit)}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
