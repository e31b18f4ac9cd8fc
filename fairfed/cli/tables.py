"""Tables for the terminal: what the clients hold, and how the arms compare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from evaluation.intervals import Interval
from evaluation.report.headline import warnings
from evaluation.run import read_run
from evaluation.summary import ArmSummary, summarise

LEGEND = (
    "Test {unit}, last round, in %; EO gap: equalized odds difference between groups.\n"
    "lacking: recall of the classes that a client has no real {one} of."
)
HEADS = (
    "accu-\nracy", "lack-\ning", "client\nmean", "\nsd", "\nworst", "EO gap\n(95 %)", "\ns", "\nMB",
)  # fmt: skip
PLAIN: dict[str, Any] = {"box": None, "padding": (0, 1, 0, 0), "title_justify": "left"}
"""Look of every table."""
SHORT = 4
"""Letters of a class or group at the head of a column."""
KNOWN = {
    "knows": "green",
    "knows partly": "yellow",
    "does not know": "bold red",
    "not tried": "dim",
}
"""How a verdict of `semantic.sight` is shown."""
EMPTY = "·"
"""Marks a class or group that a client lacks."""


def titled(title: str, *left: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table with columns to the left and, for numbers, to the right."""
    table = Table(title=title, **PLAIN)
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right")
    return table


def _heat(count: int, most: int) -> Text:
    """A count, darker for more, marked where there is nothing."""
    if count == 0:
        return Text(EMPTY, style="bold red")
    level = int(60 + 150 * min(1.0, count / max(1, most)))
    return Text(str(count), style=f"white on rgb(0,{level // 3},{level})")


def _fitting(widths: list[int], room: int) -> list[list[int]]:
    """Columns of such widths, in their order, in as many parts as it takes to fit the room."""
    parts: list[list[int]] = [[]]
    used = 0
    for column, width in enumerate(widths):
        if parts[-1] and used + width > room:
            parts.append([])
            used = 0
        parts[-1].append(column)
        used += width
    return parts


def print_federation(console: Console, federation: dict[str, Any]) -> None:
    """Heat maps of training rows, client × class and client × group, empty cells marked."""
    splits = federation["splits"]
    said = splits.get("main", next(iter(splits.values())))["train"]
    # A count that a site does not say is at least 1.
    cells = np.array([[[1 if n is None else n for n in row] for row in own] for own in said])
    by_class, by_group = cells.sum(2), cells.sum(1)
    counts = np.concatenate([by_class, by_group], axis=1)
    most = [int(by_class.max())] * by_class.shape[1] + [int(by_group.max())] * by_group.shape[1]
    names = [name[:SHORT] for name in (*federation["classes"], *federation["groups"])]
    console.print(f"Training {federation['unit']} per client", style="table.title")
    wide = [max(len(name), len(str(most[n]))) + 1 for n, name in enumerate(names)]
    for part in _fitting(wide, console.width - len("client ")):
        table = titled("", right=("client", *(names[n] for n in part)))
        for client, row in enumerate(counts):
            table.add_row(
                escape(federation["clients"][client]), *(_heat(int(row[n]), most[n]) for n in part)
            )
        console.print(table)
    console.print(f"classes: {', '.join(federation['classes'])}", style="dim")
    if federation["sensitive"]:
        console.print(f"{federation['sensitive']}: {', '.join(federation['groups'])}", style="dim")
    lacking = int((cells == 0).sum())
    console.print(
        f"{EMPTY} none: {lacking} of {cells.size} client × class × group cells are empty\n"
    )
    print_said(console, federation)


def print_rejections(console: Console, synthetic: dict[str, Any]) -> None:
    """Say what curation rejected, and how many places stayed empty for it; loudly where many."""
    rejected = synthetic.get("rejected", {})
    if not sum(rejected.values()):
        return
    reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.items() if count)
    console.print(f"  {sum(rejected.values())} rejected ({reasons})")
    parts = synthetic.get("clients", [synthetic])
    requested, accepted = (
        sum(int(np.sum(part[name])) for part in parts) for name in ("requested", "accepted")
    )
    short = requested - accepted
    if short:
        style = "bold red" if 2 * short > requested else "yellow"
        console.print(
            f"  [{style}]{short} of {requested} places stayed empty: the tries ran out[/{style}]"
        )


def print_said(console: Console, federation: dict[str, Any]) -> None:
    """Say what CLIP and the generator do not know: in red where that is allowed."""
    for warning in federation.get("warnings", []):
        console.print(Text(warning, style="bold red"))
    for remark in federation.get("remarks", []):
        console.print(Text(f"! {remark}", style="yellow"))


def print_known(
    console: Console, readings: Sequence[Mapping[str, Any]], trial: Mapping[str, Any]
) -> None:
    """Verdicts on CLIP, from real images, and on the generator, from its first ones."""
    for reading in readings:
        console.print(
            reading["said"], style=KNOWN[reading["verdict"]],
            soft_wrap=True, markup=False, highlight=False,
        )  # fmt: skip
    read = [*trial["classes"], *trial["columns"]]
    for verdict, style in KNOWN.items():
        tried = [found for found in read if found["verdict"] == verdict]
        if tried:
            console.print(
                f"The generator {verdict}: {', '.join(map(_tried, tried))}",
                style=style, soft_wrap=True, markup=False, highlight=False,
            )  # fmt: skip
    if read:
        console.print(
            "  (of so many images, how many CLIP takes for what was asked for; and how many a "
            "classifier of your real images does, where there are some of the class)",
            style="dim",
        )
    for line in trial["said"]:
        console.print(f"  {line}", style="dim", soft_wrap=True)


def _tried(trial: Mapping[str, Any]) -> str:
    own = "" if trial["recognised"] is None else f"; {trial['recognised']}"
    return f"{trial['name']} ({trial['read']}{own} of {trial['n']})"


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.1f}"


def _with_interval(interval: Interval | None) -> str:
    if interval is None or math.isnan(interval.value):
        return "–"
    ends = f"({100 * interval.low:.0f}–{100 * interval.high:.0f})"
    return f"{_percent(interval.value)} [dim]{ends}[/dim]"


def print_summary(run_dir: Path, console: Console | None = None) -> None:
    """One row per arm: accuracy, recall of lacking classes, clients, group gap, cost."""
    console = console or Console()
    run = read_run(run_dir)
    arms = summarise(run)
    table = Table(**PLAIN)
    table.add_column("arm", no_wrap=True)
    for name in HEADS:
        table.add_column(name, justify="right", no_wrap=True)
    for before, arm in zip([None, *arms], arms, strict=False):
        if before is not None and arm.reference and not before.reference:
            table.add_row()
        table.add_row(*_row(arm))
    console.print()
    console.print(table)
    for line in warnings(run.unit, arms):
        console.print(line, style="red", highlight=False, soft_wrap=True, markup=False)
    words = LEGEND.format(unit=run.unit, one=run.unit.removesuffix("s"))
    console.print(words, style="dim")


def _row(arm: ArmSummary) -> list[str]:
    clients = arm.client_fairness
    name = f"[italic]{arm.name}[/italic]" if arm.reference else arm.name
    name += " (as published)" if arm.as_published else ""
    return [
        name if arm.rounds == arm.rounds_planned else f"{name} ({arm.rounds}/{arm.rounds_planned})",
        _percent(arm.accuracy.value),
        _percent(arm.missing_recall.value),
        _percent(clients.mean),
        _percent(clients.sd),
        _percent(clients.worst),
        _with_interval(arm.gaps.get("equalized_odds_difference")),
        f"{arm.seconds + arm.synthesis_seconds:.0f}",
        f"{arm.mb_sent:.0f}",
    ]
