"""What a user should know of their data although it stops nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache

logger = logging.getLogger("fairfed")

FEW = 3
"""Names given as examples of many."""


@cache
def say(message: str) -> None:
    """Log a warning, once in a process: data are loaded anew for every division."""
    logger.warning("%s", message)


def used_of(read: int, unit: str, left_out: Mapping[str, int]) -> str:
    """How many of the rows that were read are used, and why not the others."""
    why = [f"{count:,} {reason}" for reason, count in left_out.items() if count]
    rest = f"; not the others: {', '.join(why)}" if why else ""
    return f"{read - sum(left_out.values()):,} of {read:,} {unit} are used{rest}"


def some(names: list[str]) -> str:
    """The first few of some names, and how many more there are."""
    more = f" and {len(names) - FEW:,} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more
