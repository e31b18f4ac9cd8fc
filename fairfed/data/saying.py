"""What a user should know of their data although it stops nothing."""

from __future__ import annotations

import logging
from functools import cache

logger = logging.getLogger("fairfed")

FEW = 3
"""Names given as examples of many."""


@cache
def say(message: str) -> None:
    """Log a warning, once in a process: data are loaded anew for every division."""
    logger.warning("%s", message)


def some(names: list[str]) -> str:
    """The first few of some names, and how many more there are."""
    more = f" and {len(names) - FEW:,} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more
