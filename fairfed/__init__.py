"""Federated image models that stay fair where data is missing.

Flower reads whether it may phone home when it is imported. Nothing of fairfed is imported before
this, so its telemetry and its update check are switched off here, for every engine.
"""

import os
from importlib import import_module
from typing import Any

__version__ = "0.5.0"

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")


def __getattr__(name: str) -> Any:
    """`fairfed.load_model`: what it needs is imported when it is asked for."""
    if name == "load_model":
        return import_module("fairfed.sites.packaged").load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
