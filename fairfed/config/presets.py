"""What is publicly known of four benchmark tables (`tables.toml`), as settings of `[data]`.

A preset fills what the configuration leaves open.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

PRESETS: dict[str, dict[str, Any]] = tomllib.loads(
    (files("fairfed.config") / "tables.toml").read_text(encoding="utf-8")
)
"""Settings of `[data]` by source."""


def with_preset(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `[data]` with what the preset of their source adds to them.

    Filling in twice changes nothing, so a configuration may be written out in full and read again.
    """
    preset = PRESETS.get(str(settings.get("source")), {})
    filled = {**preset, **settings}
    own = settings.get("table")
    if "table" in preset and isinstance(own, Mapping):
        filled["table"] = {**preset["table"], **own}
    return filled
