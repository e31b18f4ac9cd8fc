"""Files of JSON lines."""

from __future__ import annotations


def json_lines(text: str) -> list[str]:
    """The lines of a text of JSON lines, without empty ones.

    `str.splitlines` would also end lines at U+2028 and others, which JSON strings may hold.
    """
    return [line for line in text.split("\n") if line.strip()]
