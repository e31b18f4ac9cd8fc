"""The report of a run that compares no arms: its results, what they cost, what left the clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation.export import SCHEMA
from evaluation.intervals import LEVEL
from evaluation.numbers import Unit, called
from evaluation.report.charts import line_chart
from evaluation.report.costs import costs
from evaluation.report.drawing import Look, Series, look, mark_svg
from evaluation.report.filling import filled, plain_json, write_texts
from evaluation.report.panels import Panel, value_panel
from evaluation.report.privacy import noised
from evaluation.report.tables import MAX_EVENTS, events
from evaluation.results import ClientValues, Column, Curve, Kind, Results, Table, markdown
from evaluation.results_run import ResultsRun, read_results_run

Data = dict[str, Any]
UNITS: dict[Kind, Unit] = {"share": "share"}
"""Units of the kinds of figures that are not plain numbers."""


def write_results_report(run_dir: Path, *, refresh: int = 0) -> Path:
    """Write ``report.html`` and ``report.json``; see `evaluation.report.write_report`."""
    run = read_results_run(run_dir)
    spent = costs(run.history)
    names = list(run.history)
    data = {
        "schema": SCHEMA,
        "run": {"name": run.name, "seed": run.seed, "system": run.system, "rounds": run.rounds},
        "results": None if run.results is None else asdict(run.results),
        "costs": spent,
        "notes": run.notes,
    }
    values = {
        "run": run,
        "refresh": refresh,
        "clients": _clients(run),
        "costs": table_data(spent),
        "keys": {name: mark_svg(look(i)) for i, name in enumerate(names)},
        "failures": table_data(events(run, "error")),
        "max_events": MAX_EVENTS,
        **results_context(run.results, run),
    }
    page = filled("results.html.j2", values)
    texts = {"json": ("report.json", plain_json(data)), "html": ("report.html", page)}
    return write_texts(run.path, texts)["html"]


def results_context(results: Results | None, run: ResultsRun | None = None) -> Data:
    """What the templates show of some results."""
    if results is None:
        return {"results": None, "tables": [], "curves": [], "panels": [], "privacy": []}
    noise, last = (noised(run.config_text), run.rounds) if run else ([], 1)
    return {
        "results": results,
        "tables": [table_data(table) for table in results.tables],
        "curves": [
            curve_data(curve, {name: look(i) for i, name in enumerate(curve.lines)}, last)
            for curve in results.curves
        ],
        "panels": client_panels(results.clients) if results.clients else [],
        "privacy": [*results.privacy[:1], *noise, *results.privacy[1:]],
    }


def table_data(table: Table) -> Data:
    """A table as its macro takes it: every cell with what it sorts by."""
    texts = table.texts()
    return {
        "title": table.title,
        "legend": table.legend,
        "left": table.left,
        "total": table.total,
        "heads": [column.title for column in table.columns],
        "rows": [
            [
                (text, c.sort(value))
                for text, c, value in zip(shown, table.columns, row, strict=True)
            ]
            for shown, row in zip(texts, table.rows, strict=True)
        ],
    }


def curve_data(curve: Curve, looks: Mapping[str, Look], last: int) -> Data:
    """A figure over rounds, up to the last one that is planned, as a chart and as a table."""
    lines = {name: dict(line) for name, line in curve.lines.items()}
    rounds = sorted({number for line in lines.values() for number in line})
    series = [
        Series(name, looks[name], tuple((n, y) for n, y in line.items() if y is not None))
        for name, line in lines.items()
    ]
    span = (min([1, *rounds]), last)
    heads = (Column("Round", "text"), *(Column(name, curve.kind) for name in lines))
    rows = tuple((str(n), *(line.get(n) for line in lines.values())) for n in rounds)
    return {
        "title": curve.title,
        "chart": line_chart(series, curve.title, span, UNITS.get(curve.kind, "number")),
        "table": table_data(Table(heads, rows, curve.title)),
    }


def client_panels(clients: ClientValues) -> list[Panel]:
    """A table of dots for each method, a row per client."""
    unit = UNITS.get(clients.kind, "number")
    note = f"{clients.better.capitalize()} is better. Dashed line: mean over clients."
    if clients.counted:
        note += f" Whisker: Wilson's {100 * LEVEL:g} % interval."
    found = []
    for method, values in clients.values.items():
        known = [value for value in values.values() if value is not None]
        found.append(
            value_panel(
                method,
                method,
                {called(name): clients.interval(method, name) for name in values},
                unit=unit,
                sizes={called(name): rows for name, rows in clients.rows.items()},
                rule=sum(known) / len(known) if known else None,
                note=note,
            )
        )
    return found


def _clients(run: ResultsRun) -> int:
    """How many clients the run has, as far as its files tell."""
    seen = {e.client for rounds in run.history.values() for line in rounds for e in line.clients}
    return max(len(run.clients), len(seen))


def write_tables(
    results: Results, directory: str | Path, stem: str, command: str
) -> dict[str, Path]:
    """Write what was made of runs, a comparison or an audit, as a page, plain data and a text.

    The files are ``html``, ``json`` and ``md`` of the `stem`; the head of the page has the
    `command`.
    """
    values = results_context(results) | {"command": command, "stem": stem}
    texts = {
        "html": filled("found.html.j2", values),
        "json": plain_json({"schema": SCHEMA, **asdict(results)}),
        "md": markdown(results),
    }
    return write_texts(directory, {kind: (f"{stem}.{kind}", text) for kind, text in texts.items()})
