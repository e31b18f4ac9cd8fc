"""What a federation can do: each system has a folder of its own."""

PACKAGES = (
    "torch", "torchvision", "diffusers", "transformers", "open_clip_torch", "flwr", "flwr-datasets",
    "pydantic", "numpy",
)  # fmt: skip
"""Packages that a run needs, and whose versions it records."""
