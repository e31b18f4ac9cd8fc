"""What `fairfed audit` prints: what was judged, rates by group, the widest gaps, the gate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from evaluation.audit.metrics import COMPLEMENTS
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Audit, Comparison, Estimate, Gap
from evaluation.audit.release import Release
from evaluation.audit.report.head import basis, rates
from evaluation.audit.report.judged import state
from evaluation.audit.report.words import condition, several
from evaluation.audit.report.worst import unchecked
from evaluation.audit.tally import CROSSED, Tally
from evaluation.export import plain
from evaluation.numbers import NBSP, Unit, amount, number
from fairfed.cli.tables import titled

GAPS = 5
"""Gaps that are shown of each cross of columns."""
GROUPS = 20
"""Groups whose rates are shown."""
SUBGROUPS = 5
"""Subgroups that are shown."""
WIDE = 110
"""Characters of a line from which gaps have all their columns."""
RATE = 8
"""Characters that a column of rates takes; beside those of names and rows."""


def print_audit(console: Console, audit: Audit) -> None:
    """Summary of an audit; all of it is in the report."""
    data = plain(audit)
    console.print(f"\n[bold]{escape(audit.title)}[/bold]: {_count(audit.n)} rows")
    console.print(basis(data), markup=False, highlight=False)
    for comparison, shown in zip(audit.comparisons, data["comparisons"], strict=True):
        _print_rates(console, data, shown)
        _print_gaps(console, audit, comparison)
    if audit.subgroups:
        _print_subgroups(console, audit)
    for note in audit.notes:
        console.print(f"Note: {escape(note)}", style="dim")
    for verdict in audit.gate:
        failed = "✗ failed" if verdict.audited else "✗ not audited"
        mark, style = ("✓ held", "green") if verdict.held else (failed, "bold red")
        console.print(Text.assemble((mark, style), f"  {verdict.message}"))
    if audit.gate and (more := unchecked(plain(audit))):
        console.print(more, markup=False)


def print_counts(
    console: Console, tally: Tally, release: Release, notes: Sequence[str], path: Path
) -> None:
    """What a site's file of counts holds."""
    schema = tally.schema
    known = {"schema": plain(schema), "options": plain(AuditOptions())}
    console.print(basis(known), markup=False)
    for axis in schema.axes:
        console.print(f"{axis.name}: {several(axis.levels)}", markup=False)
    console.print(f"clients: {several(schema.clients)}", markup=False)
    for note in notes:
        console.print(f"Note: {escape(note)}", style="dim")
    console.print(f"Released: {release.words()}", markup=False)
    console.print(f"Counts: {path}", markup=False, soft_wrap=True)


def _print_rates(console: Console, audit: dict[str, Any], comparison: dict[str, Any]) -> None:
    """Rates of every group."""
    # The more telling ones come first; all are in the report.
    columns = rates(audit, comparison)[: max(4, console.width // RATE - 4)]
    if not columns or not comparison["groups"]:
        return
    by = escape(CROSSED.join(comparison["by"]))
    table = titled("", by, right=("n", *(escape(own["short"]) for own in columns)))
    for i, group in enumerate(comparison["groups"][:GROUPS]):
        values = [_rate(own["groups"][i]["value"], own["unit"]) for own in columns]
        table.add_row(escape(group), _count(comparison["rows"][i]), *values)
    console.print(table)
    if len(comparison["groups"]) > GROUPS:
        console.print(f"and {len(comparison['groups']) - GROUPS} more groups, in the report")


def _print_gaps(console: Console, audit: Audit, comparison: Comparison) -> None:
    gaps = [gap for gap in comparison.gaps if _shown(gap)]
    widest = sorted(gaps, key=lambda gap: -gap.estimate.value)[:GAPS]
    number = len(comparison.groups)
    groups = f"{number} group" + ("" if number == 1 else "s")
    if comparison.suppressed:
        groups += f", {len(comparison.suppressed)} more not compared"
    title = f"{escape(CROSSED.join(comparison.by))}: {groups}"
    if not widest:
        console.print(f"{title}; nothing to compare")
        return
    level = f"{100 * audit.options.level:g} %"
    wide = console.width >= WIDE
    more = ("detectable", "n") if wide else ()
    table = titled(title, "widest gaps", right=("gap", level, "by chance", "p", *more))
    table.columns[0].no_wrap = True
    table.add_column("verdict")
    table.add_column("lowest → highest")
    for gap in widest:
        numbers = (
            _number(gap.estimate.value, audit),
            _interval(gap.estimate, audit),
            _number(gap.chance, audit),
            _p(gap.p),
            *((_number(gap.detectable, audit), _count(gap.estimate.n)) if wide else ()),
        )
        ends = "" if gap.lowest == gap.highest else f"{gap.lowest} → {gap.highest}"
        name = gap.title.removesuffix(" difference")
        table.add_row(escape(name), *numbers, _verdict(gap, audit), escape(ends))
    console.print(table)
    for gap in comparison.gaps:
        if gap.plain and gap.metric == "base_rate" and not math.isnan(gap.estimate.value):
            ends = f"lowest {gap.lowest}, highest {gap.highest}"
            console.print(
                f"Base rate, of the data and not of the model: differs by "
                f"{_number(gap.estimate.value, audit)} ({ends})",
                markup=False,
            )


def _verdict(gap: Gap, audit: Audit) -> str:
    found = state(plain(gap), audit.options.level)
    return f"{found}, in part" if gap.estimate.lacks else found


def _shown(gap: Gap) -> bool:
    """Differences between groups, once each; other forms and complements are in the report."""
    aside = gap.metric == "base_rate" or gap.metric in COMPLEMENTS
    return gap.plain and not aside and not math.isnan(gap.estimate.value)


def _print_subgroups(console: Console, audit: Audit) -> None:
    table = titled(
        "worst subgroups", "rows where", "metric", right=("value", "rest", "surely worse by", "n")
    )
    for subgroup in audit.subgroups[:SUBGROUPS]:
        table.add_row(
            escape(", ".join(condition(*one) for one in subgroup.where)),
            escape(subgroup.metric),
            _number(subgroup.estimate.value, audit),
            _number(subgroup.rest, audit),
            _number(subgroup.shortfall, audit),
            _count(subgroup.n),
        )
    console.print(table)


def _count(number: int) -> str:
    return f"{number:,}"


def _number(value: float, audit: Audit) -> str:
    """Shares to three places; errors of a regression, which may be of any size, to three digits."""
    if math.isnan(value):
        return "–"
    if audit.schema.task == "regression":
        return number(value).replace(NBSP, ",")
    return f"{value:.3f}"


def _rate(value: float | None, unit: Unit) -> str:
    """As gaps are written; numbers that are no shares may be of any size."""
    return amount(value, unit) if value is None or unit != "share" else f"{value:.3f}"


def _interval(estimate: Estimate, audit: Audit) -> str:
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return "–"
    return f"{_number(estimate.low, audit)} to {_number(estimate.high, audit)}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
