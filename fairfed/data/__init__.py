"""The federation's images: loading, dividing among clients, shading."""

from __future__ import annotations

from fairfed.data.federation import FederatedImages, load_federation
from fairfed.data.load import load_images
from fairfed.data.partition import partition_rows
from fairfed.data.table import ImageTable
from fairfed.data.tint import draw_tints

__all__ = [
    "FederatedImages",
    "ImageTable",
    "draw_tints",
    "load_federation",
    "load_images",
    "partition_rows",
]
