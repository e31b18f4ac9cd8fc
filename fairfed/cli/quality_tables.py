"""What the terminal shows of `quality.json`: a table that fits 80 columns, and how to read it."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from evaluation.quality import Measured, QualityReport
from evaluation.quality.report import DASH, OVERALL
from evaluation.quality.verdict import Verdict
from fairfed.augmentation.output_dir import QUALITY
from fairfed.cli.tables import titled

MOST_ROWS = 40
"""Rows of a table in the terminal; the files hold all of them."""

SHARES = ("precision", "recall", "coverage")
"""Measures that are shares of images."""
KERNEL = "kid"
CLOSE = "closer_than_1%"
LEGEND = (
    "Synthetic images against real test images, as CLIP sees them. precision: % of the synthetic "
    "that lie among real ones. recall: % of the real that lie among synthetic ones. coverage: % of "
    "the real with a synthetic one near (what new real images would reach). KID: distance of the "
    "two kinds, 0 if they are alike (what chance alone stays under)."
)


def print_quality(console: Console, report: QualityReport) -> None:
    """Fidelity, diversity and usefulness of the filled cells; a dash where images are too few."""
    filled = {
        name: measures
        for name, measures in report.cells.items()
        if next(iter(measures.values())).n_synthetic
    }
    if not filled:
        return
    shown = {n: m for n, m in {OVERALL: report.overall, **filled}.items() if _stated(m)}
    if shown:
        console.print(_table(shown))
        console.print(LEGEND, style="dim")
    _print_refused(console, {n: m for n, m in filled.items() if n not in shown})
    _print_close(console, report.overall[CLOSE])
    _print_classifiers(console, report)
    _print_verdict(console, report.verdict)


def _print_verdict(console: Console, verdict: Verdict) -> None:
    """Say in words what the numbers mean; loudly where the images are others."""
    style = {"alike": "green", "apart": "yellow", "unlike": "bold red", "unknown": "dim"}
    console.print(verdict.words, style=style[verdict.level])


def _stated(measures: dict[str, Measured]) -> bool:
    return any(measures[name].value is not None for name in (*SHARES, KERNEL))


def _table(shown: dict[str, dict[str, Measured]]) -> Table:
    right = ("real", "made", "precision", "recall", "coverage", "KID")
    table = titled("Quality", "cell", right=right)
    for cell, measures in list(shown.items())[: MOST_ROWS + 1]:
        first = measures[SHARES[0]]
        shares = (_percent(measures[name]) for name in SHARES)
        table.add_row(
            cell, str(first.n_real), str(first.n_synthetic), *shares, _distance(measures[KERNEL])
        )
    return table


def _percent(measure: Measured) -> str:
    if measure.value is None:
        return DASH
    beside = "" if measure.expected is None else f" ({100 * measure.expected:.0f})"
    return f"{100 * measure.value:.0f}{beside}"


def _distance(measure: Measured) -> str:
    if measure.value is None:
        return DASH
    beside = "" if measure.chance is None else f" ({measure.chance:.2f})"
    return f"{measure.value:.2f}{beside}"


def _print_refused(console: Console, refused: dict[str, dict[str, Measured]]) -> None:
    """Say for which filled cells there are no numbers, and why."""
    where: dict[str, list[str]] = {}
    for cell, measures in refused.items():
        where.setdefault(measures[SHARES[0]].reason, []).append(cell)
    for reason, cells in where.items():
        named = ", ".join(cells[:4]) + (f" and {len(cells) - 4} more" if len(cells) > 4 else "")
        console.print(f"No numbers for {named}: {reason} ({QUALITY} has all)", style="dim")


def _print_close(console: Console, close: Measured) -> None:
    """Say how many synthetic images are suspiciously near a training image."""
    if close.value is None:
        return
    limit = "" if close.chance is None else f"; chance alone stays under {close.chance:.1%}"
    console.print(
        f"{close.value:.1%} of the synthetic images are closer to a training image than all but 1% "
        f"of the training images are to each other{limit}"
    )


def _print_classifiers(console: Console, report: QualityReport) -> None:
    """Recall of classifiers trained on one kind of image and tested on the other."""
    directions = tuple(score.direction for score in report.classification)
    per_class = {OVERALL: [score.accuracy for score in report.classification]} | {
        name: [score.recalls[name] for score in report.classification]
        for name in report.classification[0].recalls
    }
    known = {n: row for n, row in per_class.items() if any(m.value is not None for m in row)}
    if not known:
        return
    table = titled("Trained on → tested on: % recognised [95% interval]", "class", right=directions)
    for name, row in list(known.items())[: MOST_ROWS + 1]:
        table.add_row(name, *(DASH if m.value is None else _interval(m) for m in row))
    console.print(table)


def _interval(measure: Measured) -> str:
    words = _percent(measure)
    if measure.low is None or measure.high is None:
        return words
    return f"{words} [{100 * measure.low:.0f}–{100 * measure.high:.0f}]"
