"""The report as text, and a model card that is filled in as far as an audit knows."""

from __future__ import annotations

from typing import Any

from evaluation.audit.report.head import rates
from evaluation.audit.report.judged import (
    SYMBOLS,
    gap_unit,
    is_main,
    state,
    subgroup_unit,
    unit_of,
    verdict,
)
from evaluation.audit.report.page import template
from evaluation.audit.report.shortened import shortened
from evaluation.audit.report.words import condition, gap_title, not_compared

Data = dict[str, Any]


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
    text: str = template(name, escape=False).render(
        document=document,
        audit=audit,
        level=level,
        verdict=lambda gap: (
            f"{SYMBOLS[state(gap, level)]} {verdict(gap, level, gap_unit(audit, gap))}"
        ),
        comparisons=[shortened(audit, item) for item in audit["comparisons"]],
        scores=[shortened(audit, item) for item in audit["scores"]],
        why=not_compared(audit),
        gap_unit=lambda gap: gap_unit(audit, gap),
        unit_of=lambda name: unit_of(audit, name),
        subgroup_unit=subgroup_unit,
        main=lambda gaps: [gap for gap in gaps if is_main(gap)],
        rates=lambda comparison: rates(audit, comparison),
        cell=cell,
        condition=condition,
        gap_title=lambda name: gap_title(audit, name),
    )
    return text.rstrip() + "\n"


def cell(text: object) -> str:
    """A name that cannot break a table or start a tag of Markdown."""
    found = str(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "\\<")
    return " ".join(found.splitlines())  # keeps the narrow spaces of numbers
