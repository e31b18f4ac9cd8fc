"""Reports of an audit: a page, a file for programs, a text, and a model card.

Importing it costs what `evaluation` costs; Jinja2 is loaded when a report is written.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from evaluation.audit.outcome import Audit
from evaluation.audit.report.document import document
from evaluation.errors import InputError

__all__ = ["CARD", "write_reports"]

CARD = "model_card.md"
BESIDE = "model_card.new.md"
"""Where the card goes if there is one without marks: by hand, or of fairfed 0.1."""

_BEGIN = "<!-- fairfed: begin "
_PART = re.compile(rf"{_BEGIN}(\w+) -->\n.*?<!-- fairfed: end \1 -->", re.DOTALL)
TAKEN = (
    "{first} and {second} are there without fairfed's marks, and are not overwritten: move one of "
    "them, or give another directory"
)


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
        card, text = _card_to_write(folder, model_card(content))
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


def _card_to_write(directory: Path, new: str) -> tuple[str, str]:
    """Name and text of the card: what a person wrote in one that is there stays.

    `new` is the card as the audit knows it, its generated parts between marks. Refused if cards
    without marks have all names.
    """
    for name in (CARD, BESIDE):
        text = _updated(directory / name, new)
        if text is not None:
            return name, text
    raise InputError(TAKEN.format(first=directory / CARD, second=BESIDE))


def _updated(path: Path, new: str) -> str | None:
    """The card of a file with its generated parts made anew; None where it has no sound marks."""
    try:
        old = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return new
    except UnicodeDecodeError:
        return None
    parts = {part[1]: part[0] for part in _PART.finditer(new)}
    names = [part[1] for part in _PART.finditer(old)]
    if not names or len(set(names)) != old.count(_BEGIN):
        return None
    return _PART.sub(lambda part: parts.get(part[1], part[0]), old)
