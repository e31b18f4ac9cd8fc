"""Tables of `fairfed attack`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from evaluation.report.attacks import percent
from fairfed.cli.tables import titled

LEGEND = (
    "AUC: 50 % is guessing. Found: members that are told apart while 1 % of the others are taken "
    "for members, 1 % by guessing; – where there are fewer than 100 others. 95 % intervals over "
    "rows."
)


def print_attacks(arms: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """What each attack came to, by arm and group."""
    console = Console()
    for name, attacks in arms.items():
        table = titled(f"Attacks on {escape(name)}", "target", "attack", "group",
                       right=("members", "others", "AUC %", "found %"))  # fmt: skip
        for one in attacks:
            numbers = f"{one['members']:,}", f"{one['others']:,}"
            figures = percent(one["auc"]), percent(one["found"])
            group = escape(one["group"] or "all")
            table.add_row(one["target"], one["attack"], group, *numbers, *figures)
        console.print(table)
    console.print(LEGEND, style="dim")


def print_inverted(arms: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """What inversion of updates came to, by arm."""
    console = Console()
    for name, attacks in arms.items():
        if not attacks:
            continue
        table = titled(f"Images sought in updates: {escape(name)}", "update",
                       right=("recognised", "of", "by guessing", "correlation"))  # fmt: skip
        for one in attacks:
            numbers = str(one["recognised"]), str(one["updates"]), f"{one['chance']:.0%}"
            table.add_row(one["target"], *numbers, f"{one['likeness']:.2f}")
        console.print(table)
