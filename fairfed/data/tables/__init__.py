"""The federation's tables: reading, dividing, and fitting their columns without seeing them."""

from __future__ import annotations

from fairfed.data.tables.encode import encode, input_names
from fairfed.data.tables.federation import FederatedRows, load_rows
from fairfed.data.tables.read import register_frame
from fairfed.data.tables.table import FeatureTable, load_table

__all__ = [
    "FeatureTable",
    "FederatedRows",
    "encode",
    "input_names",
    "load_rows",
    "load_table",
    "register_frame",
]
