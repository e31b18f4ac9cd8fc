"""Loading the images that the configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairfed.data.columns import label_rows, require_both, require_columns
from fairfed.data.content import check_content
from fairfed.data.images import read_images
from fairfed.data.records import Records, synthetic_rows
from fairfed.data.splits import divide_parts, read_split
from fairfed.data.table import ImageTable
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.config import Config, DataConfig
    from fairfed.config.pipeline import PipelineConfig


def load_images(config: Config | PipelineConfig) -> ImageTable:
    """Load the images of `config.data`, not yet shaded.

    Raises
    ------
    semantic.errors.InputError
        If the data is not as the configuration says; it names the file, row or column.
    """
    source = config.data.source
    if config.data.tabular:
        raise InputError(f"data.source: {source!r} is a table; images are needed here")
    if source == "bundled":
        from fairfed.data.fashion import load_bundled

        return load_bundled(config.data)
    if source == "fashion-mnist":
        from fairfed.data.fashion import load_full

        return load_full(config.data)
    from fairfed.data.reading import read_records

    return image_table(read_records(config.data), config.data, config.seed)


def image_table(records: Records, data: DataConfig, seed: int) -> ImageTable:
    """The table of a source: its rows in order, less those that the configuration leaves out.

    Everything but the pixels is read first, so that a wrong label is found before all images are.

    Raises
    ------
    semantic.errors.InputError
        If the data is not as the configuration says; it names the row.
    """
    where = records.where
    require_columns(list(records.columns), data, where)
    used = np.ones(records.size, bool)
    test = None
    parts = records.parts
    if parts is None and data.split in records.columns:
        parts = read_split(records.columns[data.split], data.split, where)
    if parts is not None:
        used, test = divide_parts(parts, data.validation, where)
    synthetic = synthetic_rows(records, data)
    if data.synthetic == "leave-out":
        used &= ~synthetic
    rows = np.flatnonzero(used)
    test = None if test is None else test[rows]
    known = label_rows(records, rows.tolist(), test, synthetic[rows], data, seed)
    require_both(known.test, where)
    images, read = read_images(records, rows.tolist(), data)

    def name(place: int) -> str:
        return Path(records.name(int(rows[read[place]]))).name

    kept = check_content(images, known.labels[read], known.test[read], name, where, data)
    chosen = read[kept]
    if len(chosen) < records.size:
        images = images[kept]
    table = ImageTable(
        known.labels[chosen],
        known.groups[chosen],
        known.test[chosen],
        known.classes,
        known.group_names,
        None if known.clients is None else tuple(known.clients[row] for row in chosen.tolist()),
        images=images,
        rows=rows[chosen],
    )
    require_both(table.test, where)
    return table
