"""Sheets of images as a training goes on: what a network makes so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from generators.store import encode_png
from generators.writing import replace_whole


def write_sheet(path: Path, images: Any, columns: int) -> None:
    """Write images ``[n, S, S, 3]`` in [0, 1], in rows of so many, as one PNG."""
    side = images.shape[1]
    rows = images.reshape(-1, columns, side, side, 3).swapaxes(1, 2)
    sheet = rows.reshape(-1, columns * side, 3)
    pixels = (np.clip(sheet, 0, 1) * 255).round().astype(np.uint8)
    replace_whole(path, encode_png(pixels, {"synthetic": "true"}))
