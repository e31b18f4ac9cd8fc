"""Write all reports of an audit."""

from __future__ import annotations

import json
from pathlib import Path

from evaluation.audit.outcome import Audit
from evaluation.audit.report.card import card_to_write
from evaluation.audit.report.document import document
from evaluation.audit.report.page import render
from evaluation.audit.report.texts import markdown, model_card
from evaluation.errors import InputError
from evaluation.files import replace_text

CANNOT = "{path}: the reports cannot be written there ({reason}); give another directory"


def write(audit: Audit, directory: Path) -> dict[str, Path]:
    """See `evaluation.audit.report.write_reports`."""
    content = document(audit)
    texts = {
        "report.html": render(content),
        "report.json": json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "report.md": markdown(content),
    }
    try:
        card, text = card_to_write(directory, model_card(content))
        texts[card] = text
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            replace_text(directory / name, text)
    except OSError as error:
        raise InputError(CANNOT.format(path=directory, reason=error.strerror)) from error
    kinds = ("html", "json", "md", "card")
    return {kind: directory / name for kind, name in zip(kinds, texts, strict=True)}
