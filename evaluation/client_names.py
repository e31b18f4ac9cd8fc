"""What clients are called: by their names where they have any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def called(name: str | int) -> str:
    """A client as tables and sentences name it: a name that is a bare number is no name.

    >>> called("north"), called("3")
    ('north', 'client 3')
    """
    return f"client {name}" if str(name).isdigit() else str(name)


def heading(name: str | int) -> str:
    """The same at the head of a panel or of a line: ``north``, but ``Client 3``."""
    shown = called(name)
    return shown if shown == str(name) else shown.capitalize()


def names_in(rounds: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Names by index, as far as the lines of ``rounds.jsonl`` tell them; others are numbers."""
    return {
        int(row["client"]): str(row["name"])
        for line in rounds
        for row in line.get("clients", ())
        if row.get("name")
    }
