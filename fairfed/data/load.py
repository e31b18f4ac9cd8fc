"""Loading the images that the configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from fairfed.config.source import FASHION
from fairfed.data.columns import label_rows, require_both, require_columns
from fairfed.data.content import check_content
from fairfed.data.images import read_images
from fairfed.data.reading import read_records, read_source
from fairfed.data.records import Records, synthetic_rows
from fairfed.data.saying import say, used_of
from fairfed.data.splits import Bools, divide_parts, read_split
from fairfed.data.stored import chosen as pick
from fairfed.data.table import ImageTable, LabelledTable
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
    data = config.data
    if data.tabular:
        raise InputError(
            f"data.source: {data.source!r} is a table; images are needed here (a parquet file "
            "with a column of images: 'hf:' before its path)"
        )
    if data.source in FASHION:
        table: ImageTable = read_source(data)
        return table
    return image_table(read_records(data), data, config.seed)


def image_table(records: Records, data: DataConfig, seed: int) -> ImageTable:
    """The table of a source: its rows in order, less those that the configuration leaves out.

    Everything but the pixels is read first, so that a wrong label is found before all images are.
    Raises `InputError` if the data is not as the configuration says; it names the row.
    """
    require_columns(list(records.columns), data, records.where)
    use = rows_in_use(records, data)
    known = label_rows(records, use.rows.tolist(), use.test, use.training, data, seed)
    table, lost = with_images(records, use.rows, known, data)
    if len(table) < records.size:
        say(f"{records.where}: {used_of(records.size, table.unit, use.unused | lost)}")
    return table


class InUse(NamedTuple):
    """The rows of a source that are used."""

    rows: npt.NDArray[np.int64]  # ``[n]``, their positions in the source
    test: Bools | None  # ``[n]``, which of them are for testing; None where the data do not say
    training: Bools  # ``[n]``, which of them never are
    unused: dict[str, int]  # rows of the source that are not used, by why


def rows_in_use(records: Records, data: DataConfig) -> InUse:
    """The rows that are used by what the data say they are for, whatever their labels."""
    used, test, parts = np.ones(records.size, bool), None, records.parts
    if parts is None and data.split in records.columns:
        parts = read_split(records.columns[data.split], data.split, records.where)
    if parts is not None:
        used, test = divide_parts(parts, data.validation, records.where)
    unused = {"for validation": int((~used).sum())}
    synthetic = synthetic_rows(records, data)
    if data.synthetic == "leave-out":
        unused["synthetic"] = int((used & synthetic).sum())
        used &= ~synthetic
    rows = np.flatnonzero(used)
    return InUse(rows, None if test is None else test[rows], synthetic[rows], unused)


def with_images(
    records: Records, rows: npt.NDArray[np.int64], known: LabelledTable, data: DataConfig
) -> tuple[ImageTable, dict[str, int]]:
    """The rows with their images, and how many rows have none that is used, by why."""
    require_both(known.test, records.where)
    images, read = read_images(records, rows.tolist(), data)

    def name(place: int) -> str:
        return Path(records.name(int(rows[read[place]]))).name

    kept = check_content(images, known.labels[read], known.test[read], name, records.where, data)
    chosen = read[kept]
    table = ImageTable(
        known.labels[chosen],
        known.groups[chosen],
        known.test[chosen],
        known.classes,
        known.group_names,
        None if known.clients is None else tuple(known.clients[row] for row in chosen.tolist()),
        images=pick(images, kept) if len(kept) < len(read) else images,
        rows=rows[chosen],
    )
    require_both(table.test, records.where)
    return table, {"unreadable": len(rows) - len(read), "copies": len(read) - len(kept)}
