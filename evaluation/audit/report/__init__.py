"""Reports of an audit: a page, a file for programs, a text, and a model card.

Importing it costs what `evaluation` costs; Jinja2 is loaded when a report is written.
"""

from __future__ import annotations

import json
from pathlib import Path

from evaluation.audit.outcome import Audit
from evaluation.audit.report.card import card_to_write
from evaluation.audit.report.document import document

__all__ = ["write_reports"]


def write_reports(audit: Audit, directory: str | Path) -> dict[str, Path]:
    """Write ``report.html``, ``report.json``, ``report.md`` and ``model_card.md``.

    Each is replaced in one step, so a reader never sees half a file; the same audit gives the same
    bytes. Of a model card that is there, only what stands between fairfed's marks is replaced; one
    without marks is left alone, and the new one is ``model_card.new.md``. ``report.json`` follows
    ``evaluation/audit/report/schema.json``.

    Parameters
    ----------
    audit : Audit
        What was found.
    directory : str or Path
        Made where it does not exist.

    Returns
    -------
    dict of str to Path
        The files by kind: ``html``, ``json``, ``md``, ``card``.

    Raises
    ------
    InputError
        If the directory cannot be made or written, or cards without marks are in the way.
    """
    from evaluation.audit.report.page import markdown, model_card, render
    from evaluation.report.filling import write_texts, writing_into

    content, folder = document(audit), Path(directory)
    with writing_into(folder):
        card, text = card_to_write(folder, model_card(content))
    data = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    return write_texts(
        folder,
        {
            "html": ("report.html", render(content)),
            "json": ("report.json", data + "\n"),
            "md": ("report.md", markdown(content)),
            "card": (card, text),
        },
    )
