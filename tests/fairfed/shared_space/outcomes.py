"""Runs in a shared space, and what they leave behind, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairfed.config import Config
from tests.fairfed.runs import play


def run_of(config: Config, **options: Any) -> Path:
    """Run, or continue; the run directory."""
    play(config, **options)
    return config.run_directory


def outcome_of(folder: Path) -> dict[str, Any]:
    """`results.json` without what differs between two runs of one seed."""
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    for variant in content["variants"]:
        del variant["seconds"]
    return content
