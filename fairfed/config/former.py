"""Names of settings before 0.5, read for one more version."""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger("fairfed")

MOVED = {
    "augment.margin": "curation.margin",
    "augment.max_tries": "curation.max_tries",
    "augment.unseen": "conditioning.unseen",
    "augment.epsilon": "conditioning.epsilon",
    "augment.delta": "conditioning.delta",
    "augment.minimum": "conditioning.minimum",
    "conditioning.unnamed": "conditioning.unseen",
    "augment": "synthesis",
}
"""Settings by their former names; a section as a whole comes after its settings."""
SAID = "%s is now called %s; the former name is read for one more version"


def renamed(tree: dict[str, Any]) -> dict[str, Any]:
    """Settings under the names that they have now; a notice for each that had another."""
    found = {k: dict(v) if isinstance(v, dict) else v for k, v in tree.items()}
    for former, now in MOVED.items():
        section, _, setting = former.partition(".")
        own = found.get(section)
        if not isinstance(own, dict) or (setting and setting not in own):
            continue
        target, _, name = now.partition(".")
        into = found.setdefault(target, {})
        if not isinstance(into, dict):
            continue
        moved = {name: own.pop(setting)} if setting else found.pop(section)
        if moved:
            logger.warning(SAID, former, now)
        found[target] = {**moved, **into}
    return found
