"""Tables of `fairfed augment`: plan, curation, audit, summary."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from fairfed.augmentation.plan import NO_WAY
from fairfed.cli.tables import print_known, print_said, titled
from generators.audit import GeneratorAudit
from generators.curation import REASONS

HOPELESS = (
    "Look at them with --preview; give a generator.model that knows the class, describe it better "
    "(the column 'prompt' of a table in semantic.attributes), or invert a classifier of your own "
    'images (synthesis.generator = "inversion")'
)
"""What helps where every image of a cell was rejected."""
MOST_ROWS = 40
"""Rows of a table in the terminal; the files hold all of them."""
MOST_NAMED = 6
"""Cells that are named in a sentence."""
SKILL = 0.05
"""CLIP reads groups if chance alone would read as well with less than this probability."""


def _cell(row: dict[str, Any]) -> str:
    return str(row["class"]) if row["group"] == "all" else f"{row['class']} × {row['group']}"


def _status(row: dict[str, Any]) -> str:
    """What a cell lacks, and what carries its group where prompts cannot."""
    return f"{row['status']}, from {row['way']}" if row["way"] else str(row["status"])


def print_plan(console: Console, plan: dict[str, Any]) -> None:
    """What is known, what is missing, what will be made, can it be composed, what it costs."""
    print_said(console, plan["sight"])
    print_known(console, plan["sight"]["readings"], plan["trial"])
    filled = [row for row in plan["cells"] if row["wanted"]]
    table = titled("Plan", "cell", "status", "prompt", right=("real", "wanted"))
    for row in filled[:MOST_ROWS]:
        table.add_row(_cell(row), _status(row), row["prompt"], str(row["real"]), str(row["wanted"]))
    if filled:
        console.print(table)
    if len(filled) > MOST_ROWS:
        console.print(f"… and {len(filled) - MOST_ROWS} more cells (see plan.json)", style="dim")
    left = [_cell(row) for row in plan["cells"] if row["way"] == NO_WAY and row["real"] == 0]
    if left:
        console.print(
            f"Not made, for nothing carries their group: {', '.join(left[:MOST_NAMED])}"
            + (f" and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else ""),
            style="yellow",
        )
    unnamed = sum(row["real"] for row in plan["cells"] if row["status"] == "unnamed")
    if unnamed:
        console.print(
            f"{unnamed} training images have a sensitive value missing: their cells are not filled"
        )
    _print_composable(console, plan["composable"])
    _print_cost(console, plan["cost"], len(plan["cells"]))


def _print_composable(console: Console, composable: dict[str, Any]) -> None:
    for row in composable["like"]:
        console.print(f"  {row['like']}", style="dim")
    for row in (*composable["classes"], *composable["cells"]):
        mark = "[green]✓[/green]" if row["composable"] else "[yellow]![/yellow]"
        console.print(f"{mark} {row['why']}")
    if not all(row["composable"] for row in (*composable["classes"], *composable["cells"])):
        console.print(
            "  A generator that has seen them elsewhere can make them all the same; for one that "
            "has not, expect failures. Look at them with --preview.",
            style="dim",
        )
    if composable["note"]:
        console.print(composable["note"], style="dim")


def _print_cost(console: Console, cost: dict[str, Any], cells: int) -> None:
    if cost["images"] == 0:
        console.print(f"Nothing to make: none of the {cells} cells is missing or short.")
        return
    known = cost["seconds"] is not None
    time = _duration(cost["seconds"], cost["seconds_at_most"]) if known else "time unknown"
    disk = f"{cost['disk_mb']:.1f} MB at most" if known else "disk unknown"
    console.print(
        f"{cost['images']} images wanted, {cost['in_store']} in the store, {cost['to_make']} to "
        f"make ({cost['to_make_at_most']} at most, with replacements): {time}, {disk}\n"
    )


def _duration(least: float, most: float) -> str:
    """A range of seconds in the unit that suits its end."""
    units = ((3600, "h"), (60, "min"), (1, "s"))
    length, unit = next((n, u) for n, u in units if most >= 2 * n or n == 1)
    digits = 0 if most >= 10 * length or length == 1 else 1
    return f"{least / length:.{digits}f}–{most / length:.{digits}f} {unit}"


def print_curation(console: Console, curation: dict[str, Any]) -> None:
    """Cells that stay short, loudly, and what was rejected."""
    short = [row for row in curation["cells"] if row["short"]]
    for reason, count in curation["rejected"].items():
        console.print(f"  rejected {count}: {REASONS[reason]} ({reason})")
    _print_group_reading(console, curation["groups_read"])
    if not short:
        return
    table = titled("", "cell", "rejected", right=("wanted", "accepted", "short"))
    for row in short[:MOST_ROWS]:
        rejected = ", ".join(f"{n} {reason}" for reason, n in row["rejected"].items())
        numbers = (row["requested"], row["accepted"], row["short"])
        table.add_row(_cell(row), rejected, *map(str, numbers))
    console.print(
        f"[bold red]SHORT: {len(short)} cells could not be filled "
        f"({curation['short']} images are lacking)[/bold red]"
    )
    console.print(table)
    hopeless = [_cell(row) for row in short if not row["accepted"]]
    if len(hopeless) < len(short):
        console.print(
            "Raise curation.max_tries, lower curation.margin, or look at what is made with "
            "--preview.",
            style="dim",
        )
    if hopeless:
        console.print(
            f"Nothing was accepted of {', '.join(hopeless[:4])}"
            + (f" and {len(hopeless) - 4} more" if len(hopeless) > 4 else "")
            + f": more tries would not change that. {HOPELESS}",
            style="yellow",
        )


def _print_group_reading(console: Console, reading: dict[str, Any]) -> None:
    """Say so where images were judged by their class only."""
    if not reading["visible"]:
        console.print(
            "[yellow]![/yellow] CLIP does not see the groups: of "
            f"{reading['n']} real images it reads {reading['accuracy']:.0%} rightly, "
            f"{reading['chance']:.0%} by chance. Images were judged by class only; look whether "
            "they show their group."
        )


def print_audit(console: Console, found: GeneratorAudit) -> None:
    """Groups that neutral prompts show, per class."""
    title = "Groups that neutral prompts show"
    table = titled(title, "", "class", right=("n", *found.groups, "class read"))
    for row in (*found.classes, found.overall):
        pairs = zip(row.shares, row.intervals, strict=True)
        shares = (f"{100 * p:.0f} [{100 * low:.0f}–{100 * high:.0f}]" for p, (low, high) in pairs)
        mark = "!" if row.class_name in found.biased else ""
        table.add_row(mark, row.class_name, str(row.n), *shares, f"{row.recognised:.0%}")
    console.print(table)
    target = ", ".join(
        f"{group} {share:.0%}"
        for group, share in zip(found.groups, found.overall.target, strict=True)
    )
    console.print(
        f"% of images [95% interval]; target: {target}. class read: images in which CLIP sees the "
        "class that was asked for; where they are few, the groups say little.",
        style="dim",
    )
    if found.biased:
        console.print(
            f"[yellow]![/yellow] further from the target than chance: {', '.join(found.biased)}"
        )
    reading = found.reading
    if reading is not None:
        console.print(
            f"CLIP reads the group of {reading.accuracy:.0%} of {reading.n} real images rightly "
            f"({reading.by_chance:.0%} by chance)"
            + ("" if reading.p_value < SKILL else ": these shares mean nothing")
        )


def print_summary(
    console: Console, plan: dict[str, Any], generation: dict[str, Any], curation: dict[str, Any]
) -> None:
    """Made, accepted, rejected, short: one line each."""
    timed = plan["cost"]["made_to_time"]
    made = timed + generation["made"] + curation["replacements"]
    reused = generation["reused"] - timed
    rejected = sum(curation["rejected"].values())
    reasons = ", ".join(f"{n} {reason}" for reason, n in curation["rejected"].items())
    purposes = (
        f"{timed} of them to time the plan, {curation['replacements']} to replace rejected ones"
    )
    console.print(
        f"\n{made} images made{f' ({purposes})' if made else ''}, {reused} taken from the store\n"
        f"{curation['accepted']} of {curation['requested']} accepted, {rejected} rejected"
        + (f" ({reasons})" if reasons else "")
    )
    short = [_cell(row) for row in curation["cells"] if row["short"]]
    if short:
        console.print(f"[bold red]short: {', '.join(short)}[/bold red]")
