"""Write all reports of an audit."""

from __future__ import annotations

import json
from pathlib import Path

from evaluation.audit.outcome import Audit
from evaluation.audit.report.card import card_to_write
from evaluation.audit.report.document import document
from evaluation.audit.report.page import render
from evaluation.audit.report.texts import markdown, model_card
from evaluation.report.filling import write_texts, writing_into


def write(audit: Audit, directory: Path) -> dict[str, Path]:
    """See `evaluation.audit.report.write_reports`."""
    content = document(audit)
    with writing_into(directory):
        card, text = card_to_write(directory, model_card(content))
    return write_texts(
        directory,
        {
            "html": ("report.html", render(content)),
            "json": (
                "report.json",
                json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            ),
            "md": ("report.md", markdown(content)),
            "card": (card, text),
        },
    )
