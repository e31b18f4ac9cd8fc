"""The model card that people fill in: of theirs nothing is lost when an audit is run again."""

from __future__ import annotations

import re
from pathlib import Path

from evaluation.errors import InputError

CARD = "model_card.md"
BESIDE = "model_card.new.md"
"""Where the card goes if there is one without marks: by hand, or of fairfed 0.1."""

_BEGIN = "<!-- fairfed: begin "
_PART = re.compile(rf"{_BEGIN}(\w+) -->\n.*?<!-- fairfed: end \1 -->", re.DOTALL)
TAKEN = (
    "{first} and {second} are there without fairfed's marks, and are not overwritten: move one of "
    "them, or give another directory"
)


def card_to_write(directory: Path, new: str) -> tuple[str, str]:
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
