"""The comparison of runs as a page, a file for programs, and a text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean as mean
from typing import Any

from evaluation.compare_runs import (
    MEASURES,
    PAIRED,
    Difference,
    Entry,
    Measure,
    RunComparison,
    difference,
)
from evaluation.export import plain
from evaluation.numbers import amount, points, span
from evaluation.report.filling import filled, plain_json, write_texts
from evaluation.report.headline import cost, warnings
from evaluation.report.panels import Panel, Row, parts, scale_of, value_panel
from evaluation.report.results_page import table_data
from evaluation.report.scales import Scale
from evaluation.report.strips import axis, strip
from evaluation.report.verdicts import (
    BETTER,
    LEVELLED,
    SYMBOLS,
    UNCLEAR,
    UNDEFINED,
    WORSE,
    gap_line,
    judged,
    none_above,
    recommended,
    tie,
    verdict,
)
from evaluation.results import Column, Table

SCHEMA = 1
COSTS = (
    Column("Arm", "text"),
    Column("Time", "duration"),
    Column("MB sent", "mb"),
    Column("Failures", "count"),
    Column("Rounds by seed", "text"),
)
BY_NAME = {measure.name: measure for measure in MEASURES}
Data = dict[str, Any]


def write_comparison(found: RunComparison, directory: str | Path) -> dict[str, Path]:
    """Write ``comparison.html``, ``comparison.json`` and ``comparison.md``; the files by kind."""
    values = context(found)
    texts = {
        "html": filled("compare.html.j2", values).rstrip() + "\n",
        "json": plain_json(comparison_data(found)),
        "md": filled("compare.md.j2", values).rstrip() + "\n",
    }
    named = {kind: (f"comparison.{kind}", content) for kind, content in texts.items()}
    return write_texts(directory, named)


def comparison_data(found: RunComparison) -> Data:
    """Plain data of ``comparison.json``; undefined numbers are None."""
    content: Data = plain(
        {
            "schema": SCHEMA,
            "baseline": found.baseline,
            "arms": [_entry_data(entry) for entry in found.entries],
            "differences": list(found.differences),
            "measures": {m.name: {"title": m.title, "better": m.direction} for m in MEASURES},
            "notes": found.notes,
        }
    )
    return content


def _entry_data(entry: Entry) -> Data:
    return {
        "label": entry.label,
        "reference": entry.reference,
        "drawn_down": entry.drawn_down,
        "seeds": entry.seeds,
        "runs": [str(run.path) for run in entry.runs],
        "values": entry.values,
        "per_seed": {m.name: entry.per_seed(m).tolist() for m in MEASURES},
        "seconds": [s.seconds + s.synthesis_seconds for s in entry.summaries],
        "mb_sent": [s.mb_sent for s in entry.summaries],
    }


def headline(found: RunComparison) -> str:
    """The main finding in words: the cheapest of those that cannot be told from the best."""
    others = [d for d in found.differences if not found.entry(d.label).reference]
    if not others:
        return f"{found.baseline} is the only arm: there is nothing to compare it with."
    candidates = [d for d in others if not found.entry(d.label).drawn_down]
    if not candidates:
        return (
            f"No arm can be recommended over {found.baseline}: each of the others drew a client "
            "down."
        )
    chosen = recommended(
        candidates,
        lambda one, other: _apart(found, one, other),
        lambda d: _cheapest(found.entry(d.label)),
    )
    if chosen is None:
        changes = {d.label: d.changes["accuracy"] for d in candidates}
        what, closest = none_above(changes, found.baseline)
        numbers = _numbers(next(d for d in candidates if d.label == closest))
        return f"{what[0].upper()}{what[1:]}; the closest is {closest}: {numbers}."
    best, ties = chosen
    what = f"{best.label} is clearly more accurate than {found.baseline}: {_numbers(best)}"
    ahead = best.changes["accuracy"].value
    return f"{what}{tie({d.label: d.changes['accuracy'].value - ahead for d in ties})}."


def _numbers(item: Difference) -> str:
    change = item.changes["accuracy"]
    how = f"paired over {len(item.seeds)} seeds" if item.how == PAIRED else "from counts"
    return (
        f"{points(change.value)} points of test accuracy (95 % interval "
        f"{span(change, signed=True) or 'unknown'}, {how})"
    )


def _apart(found: RunComparison, one: Difference, other: Difference) -> bool:
    """Whether two arms can be told apart by their accuracy."""
    between = difference(found.entry(one.label), found.entry(other.label))
    return verdict(between.changes["accuracy"], "higher") in (BETTER, WORSE)


def _cheapest(entry: Entry) -> tuple[float, ...]:
    """What an arm costs, on the mean over its seeds."""
    costs = [cost(summary) for summary in entry.summaries]
    return tuple(sum(each) / len(costs) for each in zip(*costs, strict=True))


def warned(found: RunComparison) -> list[str]:
    """What a reader must not miss: clients that a rule drew down, run by run."""
    return [
        f"{entry.label}, seed {run.seed}: {line}"
        for entry in found.entries
        for run, summary in zip(entry.runs, entry.summaries, strict=True)
        for line in warnings(run.unit, [summary])
    ]


def context(found: RunComparison) -> Data:
    """What the templates show."""
    used = [m for m in MEASURES if any(e.values[m.name].defined for e in found.entries)]
    return {
        "found": found,
        "headline": headline(found),
        "warnings": warned(found),
        "lines": _lines(found),
        "measures": used,
        "panels": [_panel(m, found) for m in used],
        "changes": [_changes(m, found) for m in used],
        "costs": table_data(_costs(found.entries)),
        "cell": lambda text: str(text).replace("|", "\\|").replace("<", "&lt;"),
        "each": lambda entry, name: [amount(float(v)) for v in entry.per_seed(BY_NAME[name])],
    }


def _lines(found: RunComparison) -> list[str]:
    seeds = sorted({seed for entry in found.entries for seed in entry.seeds})
    runs = {run.path for entry in found.entries for run in entry.runs}
    line = gap_line({item.label: item.changes for item in found.differences}, found.baseline)
    return [f"{len(runs)} runs, seeds {', '.join(map(str, seeds))}.", *filter(None, [line])]


def _panel(measure: Measure, found: RunComparison) -> Panel:
    base = found.entry(found.baseline).values[measure.name]
    return value_panel(
        measure.name,
        measure.title,
        {entry.label: entry.values[measure.name] for entry in found.entries},
        rule=base.value,
        note="Mean over seeds with its 95 % interval; "
        f"{measure.direction} is better. Dashed line: {found.baseline}.",
        muted=[entry.label for entry in found.entries if entry.reference],
    )


def _changes(measure: Measure, found: RunComparison) -> Panel:
    values = {item.label: item.changes[measure.name] for item in found.differences}
    scale = scale_of([*values.values()], "points", zero=True)
    rows = tuple(_change(item, measure, scale) for item in found.differences)
    return Panel(measure.name, measure.title, "", axis(scale), rows)


def _change(item: Difference, measure: Measure, scale: Scale) -> Row:
    own = item.changes[measure.name]
    word = judged(item.changes, measure.name, measure.direction)
    return Row(
        item.label,
        strip(scale, *parts(own), css={BETTER: "c2", WORSE: "c1"}.get(word, "ref")),
        points(own.value),
        span(own, signed=True),
        sort=own.value,
        extra={
            "verdict": {UNDEFINED: "no interval"}.get(word, word),
            "order": {BETTER: 2, UNCLEAR: 1, LEVELLED: 1, WORSE: 0}.get(word, -1),
            "symbol": SYMBOLS[word],
            "css": {BETTER: "better", WORSE: "worse"}.get(word, "soft"),
            "from": f"paired, {len(item.seeds)} seeds" if item.how == PAIRED else "counts",
        },
    )


def _costs(entries: Sequence[Entry]) -> Table:
    """What every arm cost, on the mean over its seeds."""
    rows = tuple(
        (
            entry.label,
            mean(s.seconds + s.synthesis_seconds for s in entry.summaries),
            mean(s.mb_sent for s in entry.summaries),
            sum(s.failures for s in entry.summaries),
            ", ".join(str(s.rounds) for s in entry.summaries),
        )
        for entry in entries
    )
    return Table(COSTS, rows, legend="Mean over seeds; time includes the synthesis.")
