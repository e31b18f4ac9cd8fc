"""Tables of `fairfed site`: a first look at data, and what comes of it in a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from fairfed.cli.tables import print_known, titled
from fairfed.sites.first_toml import questions
from fairfed.sites.policy import UNSAID, WHAT_LEAVES, asked_for

if TYPE_CHECKING:
    from fairfed.config.model import Agreement
    from fairfed.config.site import SiteConfig
    from fairfed.sites.checking import Check, Cost
    from fairfed.sites.looking import Look

MOST_VALUES = 8
"""Values of a column that are shown."""
NO_PEERS = (
    "  The study sums under masks: [peers] of site.toml has to name the other sites, each with the "
    "public key that its `fairfed site join` has printed."
)
NOISED = (
    "  Weights leave under noise: ε = {epsilon:g} at δ = {delta:g} for each row in each of {arms} "
    "arms; `fairfed site ledger` says what is spent in all."
)
MOST_ROWS = 60
"""Cells that are shown."""


def print_look(look: Look, out: Path) -> None:
    """What was understood, and what must be told."""
    console = Console()
    what = f"{escape(look.where)}: {look.layout}, {look.rows:,} {look.unit}"
    console.print(what, style="bold", soft_wrap=True)
    table = titled("", "column", "values (rows)", right=("no value",))
    for column in look.columns:
        table.add_row(escape(column.name), escape(_values(column.values)), str(column.blank))
    console.print(table)
    if look.label is not None:
        console.print(f"label: {escape(look.label.name)}, {len(look.label.values)} classes")
    if look.split is not None or look.divided:
        what = "its folders or splits" if look.divided else f"column {look.split}"
        console.print(f"training and testing: {escape(what)}")
    if look.skipped:
        console.print(f"{look.skipped} of {look.rows:,} images cannot be read and will be skipped")
    if look.unreadable:
        console.print(f"[red]{escape(look.unreadable)}[/red]", soft_wrap=True)
    console.print("\nTo be told, in the file:")
    for question in questions(look):
        console.print(f"  ? {escape(question)}", soft_wrap=True)
    console.print(f"\nWritten: {escape(str(out))}", soft_wrap=True)
    console.print(f"Then: fairfed site check {escape(str(out))} --federation STUDY", soft_wrap=True)


def _values(values: Mapping[str, int]) -> str:
    shown = [f"{value} ({count:,})" for value, count in list(values.items())[:MOST_VALUES]]
    more = [f"… {len(values) - MOST_VALUES:,} more"] if len(values) > MOST_VALUES else []
    return ", ".join([*shown, *more])


def print_check(site: SiteConfig, study: Agreement | None, found: Check) -> None:
    """Rows, cells, plan, cost, and what would leave the site."""
    console = Console()
    report = found.report
    console.print(f"{site.name}: {escape(report.where)}", style="bold", soft_wrap=True)
    for line in report.lines():
        console.print(f"  {escape(line)}", soft_wrap=True)
    _print_cells(console, found)
    if found.missing:
        names = ", ".join(f"{c} × {g}" if g != "all" else c for c, g in found.missing)
        console.print(f"{len(found.missing)} cells without a training row: {escape(names)}",
                      soft_wrap=True)  # fmt: skip
    if study is None:
        console.print("These are the site's own names; --federation STUDY maps them.")
        return
    readings = [reading.to_json() for reading in found.readings]
    print_known(console, readings, found.trials.to_json())
    if found.cost is not None:
        _print_cost(console, found.cost)
    console.print("What would leave the site:")
    for action in asked_for(study):
        console.print(f"  {action}: {WHAT_LEAVES[action]}", soft_wrap=True)
    policy = site.policy
    if policy.counts == "suppress":
        hidden = int((found.said == UNSAID).sum())
        console.print(f"  {hidden} counts below {policy.min_count} are not said (–)")
    if study.privacy.secure_sum and not site.peers:
        console.print(escape(NO_PEERS), style="yellow", soft_wrap=True)
    if study.train.dp is not None:
        arms, dp = sum(arm.sends_model for arm in study.arms), study.train.dp
        console.print(NOISED.format(arms=arms, **dp.model_dump()), soft_wrap=True)


def _print_cells(console: Console, found: Check) -> None:
    """Rows by class and group; without those that have none at all."""
    report, cost = found.report, found.cost
    table = titled(
        "", "class", "group", right=("training", "test", "said", *(["wanted"] if cost else []))
    )
    lines = []
    for c, name in enumerate(report.classes):
        for g, group in enumerate(report.groups):
            wanted = int(cost.wanted[c, g]) if cost else 0
            train, test, said = report.train[c][g], report.test[c][g], int(found.said[c, g])
            if train or test or wanted:
                numbers = (
                    train,
                    test,
                    "–" if said == UNSAID else said,
                    *([wanted] if cost else []),
                )
                lines.append((escape(name), escape(group), *map(str, numbers)))
    for line in lines[:MOST_ROWS]:
        table.add_row(*line)
    console.print(table)
    if len(lines) > MOST_ROWS:
        console.print(f"… and {len(lines) - MOST_ROWS} more cells", style="dim")


def _print_cost(console: Console, cost: Cost) -> None:
    if not cost.images:
        console.print("No synthetic images: no cell is missing or short.")
        return
    if cost.seconds is None or cost.seconds_at_most is None:
        time = "time unknown (--time measures it)"
    else:
        time = f"{cost.seconds:,.0f} to {cost.seconds_at_most:,.0f} s here"
    console.print(
        f"{int(cost.wanted.sum()):,} synthetic images wanted, {cost.images:,} to make, "
        f"{cost.at_most:,} at most: {time}, {cost.megabytes:.1f} MB at most",
        soft_wrap=True,
    )
