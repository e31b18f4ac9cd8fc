"""The federation's rows: loading, dividing among clients; for images, shading."""

from __future__ import annotations

from fairfed.data.federation import FederatedImages, Federation, divide, load_federation
from fairfed.data.load import load_images
from fairfed.data.partition import partition_rows
from fairfed.data.records import Records
from fairfed.data.table import ImageTable, LabelledTable
from fairfed.data.tint import draw_tints

__all__ = [
    "FederatedImages",
    "Federation",
    "ImageTable",
    "LabelledTable",
    "Records",
    "divide",
    "draw_tints",
    "load_federation",
    "load_images",
    "partition_rows",
]
