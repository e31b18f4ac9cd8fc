"""The image files behind a table's rows, byte for byte: what may be copied, never changed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fairfed.config.source import FASHION
from fairfed.data.folder import FILE
from fairfed.data.metadata import as_text
from fairfed.data.reading import read_records
from fairfed.data.table import ImageTable
from generators.store import encode_png

if TYPE_CHECKING:
    from fairfed.config.pipeline import PipelineConfig


class Original(NamedTuple):
    """A row of the user's data."""

    # Of the image file (``".png"``), and what is in it.
    suffix: str
    content: bytes
    name: str  # what the user calls it, "" where it has no name
    columns: dict[str, str]  # all that the user's table says of it, as text


def original_rows(config: PipelineConfig, table: ImageTable) -> Iterator[Original]:
    """The rows of the table of `config.data`, in order.

    Sources that hold no image files (`bundled`, `fashion-mnist`) give PNGs of the table's pixels.
    """
    if config.data.source in FASHION:
        yield from (Original(".png", encode_png(image, {}), "", {}) for image in table.images)
        return
    records = read_records(config.data)
    for row in table.rows.tolist() if table.rows is not None else range(records.size):
        content = records.content(row)
        columns = {name: as_text(values[row]) for name, values in records.columns.items()}
        name = columns.pop(FILE, Path(records.name(row)).name)
        if isinstance(content, Path):
            yield Original(content.suffix.lower(), content.read_bytes(), name, columns)
        elif content is not None:
            yield Original(_suffix(content), content, name, columns)


def _suffix(content: bytes) -> str:
    """Suffix of an image file, from its content."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        return f".{str(image.format).lower()}"
