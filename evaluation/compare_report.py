"""The comparison of runs as a page, a file for programs, and a text."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from markupsafe import Markup

from evaluation.compare_measures import MEASURES, Measure
from evaluation.compare_runs import PAIRED, Difference, Entry, RunComparison
from evaluation.errors import InputError
from evaluation.export import plain
from evaluation.intervals import Interval
from evaluation.report.headline import BETTER, SYMBOLS, UNCLEAR, UNDEFINED, WORSE, verdict
from evaluation.report.scales import amount, bare_gap, ends, nice_scale
from evaluation.report.strips import axis, strip
from evaluation.report.style import duration, number, percent

SCHEMA = 1
CANNOT = "{path}: the comparison cannot be written there ({reason}); give another directory"
Data = dict[str, Any]


def write_comparison(found: RunComparison, directory: str | Path) -> dict[str, Path]:
    """Write ``comparison.html``, ``comparison.json`` and ``comparison.md``.

    Returns
    -------
    dict of str to Path
        The files by kind: ``html``, ``json``, ``md``.

    Raises
    ------
    InputError
        If the directory cannot be made or written.
    """
    from evaluation.report.files import replace_text

    directory = Path(directory)
    text = json.dumps(comparison_data(found), indent=1, ensure_ascii=False, allow_nan=False)
    values = context(found)
    texts = {
        "html": _filled("compare.html.j2", values, escape=True),
        "json": text + "\n",
        "md": _filled("compare.md.j2", values, escape=False),
    }
    paths = {kind: directory / f"comparison.{kind}" for kind in texts}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for kind, content in texts.items():
            replace_text(paths[kind], content)
    except OSError as error:
        raise InputError(CANNOT.format(path=directory, reason=error.strerror)) from error
    return paths


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
        "seeds": entry.seeds,
        "runs": [str(run.path) for run in entry.runs],
        "values": entry.values,
        "per_seed": {m.name: entry.per_seed(m).tolist() for m in MEASURES},
        "seconds": [s.seconds + s.synthesis_seconds for s in entry.summaries],
        "mb_sent": [s.mb_sent for s in entry.summaries],
    }


def headline(found: RunComparison) -> str:
    """The main finding in words."""
    name = "accuracy"
    candidates = [d for d in found.differences if not _entry(found, d.label).reference]
    if not candidates:
        return f"{found.baseline} is the only arm: there is nothing to compare it with."
    best = max(candidates, key=lambda d: _ordered(d.changes[name].value))
    change, word = best.changes[name], verdict(best.changes[name], "higher")
    how = f"paired over {len(best.seeds)} seeds" if best.how == PAIRED else "from counts"
    numbers = (
        f"{bare_gap(change.value, signed=True)} points of test accuracy (95 % interval "
        f"{ends(change.low, change.high, signed=True) or 'unknown'}, {how})"
    )
    if word == BETTER:
        return f"{best.label} is clearly more accurate than {found.baseline}: {numbers}."
    return (
        f"No arm is clearly more accurate than {found.baseline}; the closest is {best.label}: "
        f"{numbers}."
    )


def context(found: RunComparison) -> Data:
    """What the templates show."""
    used = [m for m in MEASURES if any(_known(e.values[m.name]) for e in found.entries)]
    return {
        "found": found,
        "headline": headline(found),
        "lines": _lines(found),
        "measures": used,
        "panels": [_panel(m, found) for m in used],
        "changes": [_changes(m, found) for m in used],
        "costs": [_cost(entry) for entry in found.entries],
        "cell": lambda text: str(text).replace("|", "\\|").replace("<", "&lt;"),
    }


def _lines(found: RunComparison) -> list[str]:
    seeds = sorted({seed for entry in found.entries for seed in entry.seeds})
    runs = {run.path for entry in found.entries for run in entry.runs}
    lines = [f"{len(runs)} runs, seeds {', '.join(map(str, seeds))}."]
    measure = "equalized_odds_difference"
    words: dict[str, list[str]] = {BETTER: [], WORSE: []}
    for item in found.differences:
        word = verdict(item.changes[measure], "lower")
        if word in words:
            change = bare_gap(item.changes[measure].value, signed=True)
            words[word].append(f"{item.label} ({change} points)")
    for word, start in ((BETTER, "clearly smaller"), (WORSE, "clearly larger")):
        if words[word]:
            lines.append(
                f"Group gap (equalized odds) {start} than {found.baseline}'s: "
                f"{', '.join(words[word])}."
            )
    return lines


def _panel(measure: Measure, found: RunComparison) -> Data:
    values = [entry.values[measure.name] for entry in found.entries]
    scale = nice_scale(
        [v for i in values for v in (i.value, i.low, i.high)], "share", limit=(0.0, 1.0)
    )
    base = _entry(found, found.baseline).values[measure.name]
    rows = [
        {
            "name": entry.label,
            "reference": entry.reference,
            "chart": _strip(own, scale, rule=base.value, css="ref" if entry.reference else "c0"),
            "value": amount(own.value),
            "sort": _sortable(own.value),
            "small": ends(own.low, own.high),
            "seeds": len(entry.seeds),
            "each": ", ".join(amount(float(v)) for v in entry.per_seed(measure)),
        }
        for entry, own in zip(found.entries, values, strict=True)
    ]
    better = f"{measure.direction} is better"
    return {"measure": measure, "axis": axis(scale), "rows": rows, "better": better}


def _changes(measure: Measure, found: RunComparison) -> Data:
    values = [item.changes[measure.name] for item in found.differences]
    points = [v for i in values for v in (i.value, i.low, i.high)]
    scale = nice_scale(points, "points", zero=True)
    rows = [
        _change(item, own, measure, scale)
        for item, own in zip(found.differences, values, strict=True)
    ]
    return {"measure": measure, "axis": axis(scale), "rows": rows}


def _change(item: Difference, own: Interval, measure: Measure, scale: Any) -> Data:
    word = verdict(own, measure.direction)
    css = {BETTER: "c2", WORSE: "c1"}.get(word, "ref")
    return {
        "name": item.label,
        "chart": _strip(own, scale, css=css),
        "value": bare_gap(own.value, signed=True),
        "sort": _sortable(own.value),
        "small": ends(own.low, own.high, signed=True),
        "verdict": {UNDEFINED: "no interval"}.get(word, word),
        "order": {BETTER: 2, UNCLEAR: 1, WORSE: 0}.get(word, -1),
        "symbol": SYMBOLS[word],
        "css": {BETTER: "better", WORSE: "worse"}.get(word, "soft"),
        "how": f"paired, {len(item.seeds)} seeds" if item.how == PAIRED else "counts",
    }


def _cost(entry: Entry) -> Data:
    arms = entry.summaries
    seconds = sum(s.seconds + s.synthesis_seconds for s in arms) / len(arms)
    return {
        "name": entry.label,
        "seconds": duration(seconds),
        "mb": number(sum(s.mb_sent for s in arms) / len(arms), 1),
        "rounds": ", ".join(str(s.rounds) for s in arms),
        "failures": sum(s.failures for s in arms),
    }


def _strip(own: Interval, scale: Any, *, rule: float | None = None, css: str) -> Markup:
    return strip(scale, own.value, own.low, own.high, rule=rule, css=css)


def _entry(found: RunComparison, label: str) -> Entry:
    return next(entry for entry in found.entries if entry.label == label)


def _known(value: Interval) -> bool:
    return not math.isnan(value.value)


def _ordered(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _sortable(value: float) -> str:
    return "nan" if math.isnan(value) else repr(float(value))


def _filled(name: str, values: Data, *, escape: bool) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("evaluation.report"),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent)
    return environment.get_template(name).render(values).rstrip() + "\n"
