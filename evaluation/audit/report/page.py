"""The pages of an audit, from the plain data of its document: HTML, text, and a model card.

Of many groups they show the lowest and the highest; ``report.json`` has all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from evaluation import numbers
from evaluation.audit.report import curves, words
from evaluation.audit.report.head import rates
from evaluation.audit.report.judged import (
    CLEAR,
    SYMBOLS,
    Data,
    cross,
    gap_unit,
    is_main,
    state,
    subgroup_unit,
    unit_of,
    verdict,
)
from evaluation.numbers import Unit, called
from evaluation.report import filling
from evaluation.report.panels import MOST, Panel, Row, extremes, others, value_panel
from evaluation.report.scales import nice_scale
from evaluation.report.strips import axis, bar, strip


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
    text: str = _template("audit.html.j2", escape=True).render(context(document))
    return text


def markdown(document: Data) -> str:
    """``report.md``: the main tables, for a terminal or a comment on a change."""
    return _filled("report.md.j2", document)


def model_card(document: Data) -> str:
    """``model_card.md``: what was evaluated, on whom, how good, with what limits.

    The headings follow Mitchell et al. 2019 (doi:10.1145/3287560.3287596). What an audit cannot
    know is marked ``TO FILL IN``.
    """
    return _filled("model_card.md.j2", document)


def _filled(name: str, document: Data) -> str:
    audit = document["audit"]
    level = float(audit["options"]["level"])
    text: str = _template(name, escape=False).render(
        document=document,
        audit=audit,
        level=level,
        verdict=lambda gap: (
            f"{SYMBOLS[state(gap, level)]} {verdict(gap, level, gap_unit(audit, gap))}"
        ),
        comparisons=[_shortened(audit, item) for item in audit["comparisons"]],
        scores=[_shortened(audit, item) for item in audit["scores"]],
        why=words.not_compared(audit),
        gap_unit=lambda gap: gap_unit(audit, gap),
        unit_of=lambda name: unit_of(audit, name),
        subgroup_unit=subgroup_unit,
        main=lambda gaps: [gap for gap in gaps if is_main(gap)],
        rates=lambda comparison: rates(audit, comparison),
        cell=cell,
        condition=words.condition,
        gap_title=lambda name: words.gap_title(audit, name),
    )
    return text.rstrip() + "\n"


def cell(text: object) -> str:
    """A name that cannot break a table or start a tag of Markdown."""
    found = str(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "\\<")
    return " ".join(found.splitlines())  # keeps the narrow spaces of numbers


def _template(name: str, *, escape: bool) -> Any:
    """A template of this package, with the parts of the run report within its reach."""
    return filling.template(
        name, "evaluation.audit.report", "evaluation.report", escape=escape,
        cross=cross, sentence=words.sentence, several=words.several,
    )  # fmt: skip


def _comparison(audit: Data, item: Data, index: int) -> Data:
    panels = [_metric_panel(audit, item, metric) for metric in item["metrics"]]
    main = [gap for gap in item["gaps"] if is_main(gap)]
    other = [gap for gap in item["gaps"] if not is_main(gap)]
    return {
        "id": f"by-{index + 1}",
        "item": _shortened(audit, item),
        "title": cross(item["by"]),
        "panels": panels,
        "chosen": _leading(audit, item),
        "gaps": _gap_panels(audit, main),
        "more": _gap_panels(audit, other),
        "rates": rates(audit, item),
        "units": {m["name"]: unit_of(audit, m["name"]) for m in item["metrics"]},
    }


def _metric_panel(audit: Data, item: Data, metric: Data) -> Panel:
    unit, overall = unit_of(audit, metric["name"]), metric["overall"]
    better = {"higher": "; higher is better", "lower": "; lower is better"}
    note = f"Dashed line: everyone, {numbers.amount(overall['value'], unit)}"
    if between := numbers.span(overall, unit):
        note += f" ({between})"
    return value_panel(
        metric["name"],
        metric["title"],
        dict(zip(item["groups"], metric["groups"], strict=True)),
        unit=unit,
        sizes=dict(zip(item["groups"], item["rows"], strict=True)),
        rule=overall,
        note=f"{note}{better.get(metric['direction'], '')}. ",
        zero=metric["name"] == "count",
        most=MOST,
    )


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
        write = numbers.amount if ratio else numbers.bare_gap
        text = write(own["value"], unit)
        small = numbers.span(own, unit)
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
                numbers.amount(item["estimate"]["value"], unit),
                numbers.span(item["estimate"], unit),
                item["n"],
                item["estimate"]["value"],
                {
                    "rest": numbers.amount(item["rest"], unit),
                    "shortfall": item["shortfall"],
                    "shortfall_text": numbers.gap(item["shortfall"], unit),
                    "explains": item["explains"],
                },
            )
            for item in own
        )
        panels.append(Panel(metric, metric.replace("_", " ").capitalize(), "", axis(scale), rows))
    return panels


def _contributions(audit: Data) -> list[Panel]:
    unit: Unit = "number" if audit["schema"]["task"] == "regression" else "share"
    write = partial(numbers.gap, unit=unit)
    panels = []
    for name in dict.fromkeys(item["gap"] for item in audit["contributions"]):
        own = [item for item in audit["contributions"] if item["gap"] == name]
        on_axis: Unit = "points" if unit == "share" else unit
        scale = nice_scale([item["share"] for item in own], on_axis, zero=True)
        rows = tuple(
            Row(
                called(item["client"]),
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
    named = dict(zip(map(called, audit["schema"]["clients"]), fairness["accuracies"], strict=True))
    title, note = "Accuracy per client", "Dashed line: mean over clients. "
    return value_panel("clients", title, named, rule=fairness["mean"], note=note)


def _leading(audit: Data, item: Data) -> str:
    """The metric to look at first: that with the gap that is most surely there, else the first."""
    names = [metric["name"] for metric in item["metrics"]]
    level = float(audit["options"]["level"])
    clear = [
        gap
        for gap in item["gaps"]
        if is_main(gap) and state(gap, level) == CLEAR and gap["lowest"] and gap["metric"] in names
    ]
    clear.sort(key=lambda gap: -(gap["estimate"]["low"] or 0.0))
    return clear[0]["metric"] if clear else next(iter(names), "")


def _shortened(audit: Data, item: Data) -> Data:
    """A comparison (also of scores) with those groups alone that its leading metric sets apart."""
    name = _leading(audit, item)
    metric = next((m for m in item["metrics"] if m["name"] == name), None)
    values = [own["value"] for own in metric["groups"]] if metric else [None] * len(item["groups"])
    shown = extremes(values)

    def some(whole: Sequence[Any]) -> list[Any]:
        return [whole[i] for i in shown]

    rows = {"rows": some(item["rows"])} if "rows" in item else {}
    metrics = [m | {"groups": some(m["groups"])} for m in item["metrics"]]
    note = others(len(values), len(shown))
    return item | rows | {"groups": some(item["groups"]), "metrics": metrics, "others": note}
