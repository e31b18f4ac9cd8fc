"""Federated image models that stay fair where data is missing.

Flower reads whether it may phone home when it is imported. Nothing of fairfed is imported before
this, so its telemetry and its update check are switched off here, for every engine.
"""

import os

__version__ = "0.4.0"

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")
