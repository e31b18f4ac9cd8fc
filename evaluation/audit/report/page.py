"""The HTML page of an audit, from the plain data of its document."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from markupsafe import Markup

from evaluation.audit.report import curves, words
from evaluation.audit.report.head import rates
from evaluation.audit.report.judged import (
    CLEAR,
    SYMBOLS,
    cross,
    gap_unit,
    is_main,
    state,
    subgroup_unit,
    unit_of,
    verdict,
)
from evaluation.audit.report.shortened import extremes, leading, others, shortened
from evaluation.report import filling, scales
from evaluation.report.scales import Scale, Unit, nice_scale
from evaluation.report.strips import axis, bar, strip

Data = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of a table that is a chart: name, drawing, texts, and what it sorts by."""

    name: str
    chart: Markup
    value: str
    small: str
    n: int | None
    sort: float | None
    extra: Data


@dataclass(frozen=True)
class Panel:
    """A table that is a chart."""

    name: str
    title: str
    note: str
    axis: Markup
    rows: tuple[Row, ...]


def context(document: Data) -> Data:
    """Collect what the template shows."""
    audit = document["audit"]
    level = float(audit["options"]["level"])
    return {
        "document": document,
        "audit": audit,
        "level": level,
        "gate": audit["gate"],
        "basis": document["basis"],
        "comparisons": [_comparison(audit, item, i) for i, item in enumerate(audit["comparisons"])],
        "scores": [_scores(audit, item, i) for i, item in enumerate(audit["scores"])],
        "subgroups": _subgroups(audit),
        "contributions": _contributions(audit),
        "clients": _clients(audit),
        "frontiers": [curves.frontier(item) for item in audit["frontiers"]],
        "why": words.not_compared(audit),
    }


def render(document: Data) -> str:
    """Fill the page; every text is escaped."""
    text: str = template("audit.html.j2", escape=True).render(context(document))
    return text


def template(name: str, *, escape: bool) -> Any:
    """A template of this package, with the parts of the run report within its reach."""
    return filling.template(
        name, "evaluation.audit.report", "evaluation.report", escape=escape,
        amount=scales.amount, gap=scales.gap, count=scales.count, probability=scales.probability,
        cross=cross, sentence=words.sentence, interval=_interval, several=words.several,
    )  # fmt: skip


def _interval(estimate: Data, unit: Unit = "share") -> str:
    return scales.ends(estimate["low"], estimate["high"], unit)


def _comparison(audit: Data, item: Data, index: int) -> Data:
    panels = [_metric_panel(audit, item, metric) for metric in item["metrics"]]
    main = [gap for gap in item["gaps"] if is_main(gap)]
    other = [gap for gap in item["gaps"] if not is_main(gap)]
    return {
        "id": f"by-{index + 1}",
        "item": shortened(audit, item),
        "title": cross(item["by"]),
        "panels": panels,
        "chosen": leading(audit, item),
        "gaps": _gap_panels(audit, main),
        "more": _gap_panels(audit, other),
        "rates": rates(audit, item),
        "units": {m["name"]: unit_of(audit, m["name"]) for m in item["metrics"]},
    }


def _metric_panel(audit: Data, item: Data, metric: Data) -> Panel:
    unit, overall = unit_of(audit, metric["name"]), metric["overall"]
    limit = (0.0, 1.0) if unit == "share" else None
    scale = nice_scale(
        [e[key] for e in (overall, *metric["groups"]) for key in ("value", "low", "high")],
        unit,
        limit=limit,
        zero=metric["name"] == "count",
    )
    shown = extremes([own["value"] for own in metric["groups"]])
    rows = [
        _row(item["groups"][i], metric["groups"][i], scale, overall["value"], item["rows"][i])
        for i in shown
    ]
    better = {"higher": "higher is better", "lower": "lower is better"}.get(metric["direction"], "")
    note = f"Dashed line: everyone, {scales.amount(overall['value'], unit)}"
    if between := _interval(overall, unit):
        note += f" ({between})"
    return Panel(
        metric["name"],
        metric["title"],
        f"{note}{'; ' + better if better else ''}. {others(len(item['groups']), len(shown))}",
        axis(scale),
        tuple(rows),
    )


def _row(name: str, own: Data, scale: Scale, overall: float | None, n: int) -> Row:
    chart = strip(scale, own["value"], own["low"], own["high"], rule=overall)
    text, small = scales.amount(own["value"], scale.unit), _interval(own, scale.unit)
    return Row(name, chart, text, small, n, own["value"], {"how": own["how"]})


def _gap_panels(audit: Data, gaps: list[Data]) -> list[Panel]:
    """One table per unit: differences of shares, differences of numbers, ratios."""
    by_unit: dict[Unit, list[Data]] = {}
    for gap in gaps:
        by_unit.setdefault(gap_unit(audit, gap), []).append(gap)
    return [_gap_panel(audit, unit, own) for unit, own in by_unit.items()]


def _gap_panel(audit: Data, unit: Unit, gaps: list[Data]) -> Panel:
    level = float(audit["options"]["level"])
    values = [
        v
        for gap in gaps
        for v in (*(gap["estimate"][k] for k in ("value", "low", "high")), gap["chance"])
    ]
    ratio = unit == "ratio"
    on_axis: Unit = "points" if unit == "share" else unit
    scale = nice_scale([*values, 1.0] if ratio else values, on_axis, zero=True)
    rows = []
    for gap in gaps:
        own, found = gap["estimate"], state(gap, level)
        css = "c1" if found == CLEAR else "ref"
        chart = strip(
            scale, own["value"], own["low"], own["high"],
            chance=gap["chance"], rule=1.0 if ratio else None, css=css,
        )  # fmt: skip
        extra = gap | {"state": found, "symbol": SYMBOLS[found], "word": verdict(gap, level, unit)}
        write = scales.amount if ratio else scales.bare_gap
        text = write(own["value"], unit)
        small = _interval(own, unit)
        extra |= {"chance_text": write(gap["chance"], unit)}
        extra |= {"detectable_text": write(gap["detectable"], unit)}
        rows.append(Row(gap["title"], chart, text, small, own["n"], own["value"], extra))
    title = {"ratio": "Ratios", "share": "Differences in percentage points"}.get(
        unit, "Differences"
    )
    return Panel(unit, title, "", axis(scale), tuple(rows))


def _scores(audit: Data, item: Data, index: int) -> Data:
    panels = []
    for metric in item["metrics"]:
        named = metric | {"title": f"{metric['title']}, class {metric['scored']}"}
        alone = len({m["scored"] for m in item["metrics"]}) == 1
        rows = {"groups": item["groups"], "rows": [own["n"] for own in metric["groups"]]}
        panels.append(_metric_panel(audit, rows, metric if alone else named))
    return {
        "id": f"scores-{index + 1}",
        "item": item,
        "title": cross(item["by"]),
        "panels": panels,
        "gaps": _gap_panels(audit, item["gaps"]),
        "curves": curves.scores(item),
        "binning": [
            max(own["binning"] or 0.0 for own in (metric["overall"], *metric["groups"]))
            for metric in item["metrics"]
        ],
    }


def _subgroups(audit: Data) -> list[Panel]:
    panels = []
    for metric in dict.fromkeys(item["metric"] for item in audit["subgroups"]):
        own = [item for item in audit["subgroups"] if item["metric"] == metric]
        unit = subgroup_unit(metric)
        keys = ("value", "low", "high")
        values = [item["estimate"][key] for item in own for key in keys]
        scale = nice_scale([*values, *(item["rest"] for item in own)], unit, zero=True)
        rows = tuple(
            Row(
                ", ".join(words.condition(*one) for one in item["where"]),
                strip(scale, *(item["estimate"][key] for key in keys), rule=item["rest"], css="c1"),
                scales.amount(item["estimate"]["value"], unit),
                _interval(item["estimate"], unit),
                item["n"],
                item["estimate"]["value"],
                {
                    "rest": scales.amount(item["rest"], unit),
                    "shortfall": item["shortfall"],
                    "shortfall_text": scales.gap(item["shortfall"], unit),
                    "explains": item["explains"],
                },
            )
            for item in own
        )
        panels.append(Panel(metric, metric.replace("_", " ").capitalize(), "", axis(scale), rows))
    return panels


def _contributions(audit: Data) -> list[Panel]:
    unit: Unit = "number" if audit["schema"]["task"] == "regression" else "share"
    write = partial(scales.gap, unit=unit)
    panels = []
    for name in dict.fromkeys(item["gap"] for item in audit["contributions"]):
        own = [item for item in audit["contributions"] if item["gap"] == name]
        on_axis: Unit = "points" if unit == "share" else unit
        scale = nice_scale([item["share"] for item in own], on_axis, zero=True)
        rows = tuple(
            Row(
                item["client"],
                bar(scale, item["share"], "c1" if (item["share"] or 0) > 0 else "c0"),
                write(item["share"], signed=True),
                "",
                item["n"],
                item["share"],
                item | {"without_text": write(item["without"]), "own_text": write(item["own"])},
            )
            for item in own
        )
        title = words.gap_title(audit, name)
        panels.append(Panel(name, title, "", axis(scale), rows))
    return panels


def _clients(audit: Data) -> Panel | None:
    fairness = audit["clients"]
    if fairness is None or fairness["clients"] < 2:
        return None
    scale = nice_scale(fairness["accuracies"], "share", limit=(0.0, 1.0))
    rows = tuple(
        Row(
            name,
            strip(scale, value, rule=fairness["mean"]),
            scales.amount(value),
            "",
            None,
            value,
            {},
        )
        for name, value in zip(audit["schema"]["clients"], fairness["accuracies"], strict=True)
    )
    return Panel("clients", "Accuracy per client", "", axis(scale), rows)
