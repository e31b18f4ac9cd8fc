"""What a run is made with, beside its settings."""

from __future__ import annotations

PACKAGES = (
    "torch", "torchvision", "diffusers", "transformers", "open_clip_torch", "flwr", "flwr-datasets",
    "pydantic", "numpy",
)  # fmt: skip
"""Packages that a run needs, and whose versions it records."""
