"""From a model and data to a table of predictions, as an audit reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fairfed.config import Config
from fairfed.data import ImageTable, LabelledTable
from fairfed.data.federation import load_federation, load_undivided
from fairfed.data.pixels import UNREADABLE
from fairfed.data.tables.federation import load_rows
from fairfed.data.tables.table import FeatureTable, load_table
from generators.writing import explained
from semantic.errors import InputError
from semantic.files import written_whole
from semantic.naming import CROSSED, UNKNOWN

if TYPE_CHECKING:
    import pyarrow as pa

    from fairfed.sites.packaged import PackagedModel

BATCH = 512
ENDINGS = (".parquet", ".csv")
TRUTH, PREDICTION, CLIENT, FILE = "label", "prediction", "client", "file"
IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif"}


@dataclass(frozen=True, eq=False)
class Rows:
    """What is predicted: a table's rows, who holds each, or images of which nothing is known."""

    table: LabelledTable | None
    chosen: np.ndarray[Any, Any]
    clients: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


def rows_of(config: Config, model: PackagedModel, divided: bool, part: str) -> Rows:
    """The rows of a configuration's data: the clients' test rows if divided, else of a part.

    The data are read as the model's classes. A folder of images without labels is read as it is.
    """
    source = Path(config.data.source)
    if not divided and _unlabelled(source):
        files = sorted(path for path in source.iterdir() if path.suffix.lower() in IMAGES)
        return Rows(None, np.arange(len(files)), files=tuple(files))
    labels = model.study.labels
    data = config.data.model_copy(
        update={"classes": labels.classes, "image_size": labels.image_size}
    )
    config = config.model_copy(update={"data": data})
    table: LabelledTable
    if divided:
        found = load_rows(config) if data.tabular else load_federation(config)
        chosen = np.concatenate(found.test)
        names = [name for name, own in zip(found.names, found.test, strict=True) for _ in own]
        return Rows(found.table, chosen, tuple(names))
    table = load_table(config) if data.tabular else load_undivided(config)
    wanted = {"all": np.ones(len(table), bool), "test": table.test, "train": ~table.test}[part]
    chosen = np.flatnonzero(wanted)
    clients = table.clients or ()
    return Rows(table, chosen, tuple(clients[row] for row in chosen) if clients else ())


def _unlabelled(source: Path) -> bool:
    """Whether a folder holds images side by side, and no table that says what they are."""
    if not source.is_dir() or any(source.glob("metadata.*")):
        return False
    return any(path.suffix.lower() in IMAGES for path in source.iterdir() if path.is_file())


def write_predictions(model: PackagedModel, rows: Rows, out: Path) -> int:
    """Write predictions and scores of rows, batch by batch; returns how many.

    Columns: `prediction`, `score: CLASS` for every class; where they are known, `label`, the
    sensitive columns, `client`; of images without labels, `file`.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    if out.suffix not in ENDINGS:
        raise InputError(f"{out}: predictions are written as .parquet or .csv; name it so")
    total, writer = 0, None
    with explained(out), written_whole(out) as draft:
        try:
            for batch in _batches(model, rows):
                if writer is None:
                    writer = (
                        parquet.ParquetWriter(draft, batch.schema) if out.suffix == ".parquet"
                        else csv.CSVWriter(draft, batch.schema)
                    )  # fmt: skip
                writer.write_table(pa.Table.from_batches([batch]))
                total += batch.num_rows
        finally:
            if writer is not None:
                writer.close()
        if not total:
            raise InputError("there are no rows to predict")
    return total


def _batches(model: PackagedModel, rows: Rows) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for start in range(0, len(rows.chosen), BATCH):
        chosen = rows.chosen[start : start + BATCH]
        with torch.no_grad():
            scores = model(_inputs(model, rows, chosen)).double().softmax(1).numpy()
        names = np.array(model.classes, object)
        columns: dict[str, Any] = {PREDICTION: names[scores.argmax(1)]}
        columns |= {f"score: {name}": scores[:, c] for c, name in enumerate(model.classes)}
        if rows.table is None:
            columns[FILE] = [rows.files[row].name for row in chosen]
        else:
            columns[TRUTH] = names[rows.table.labels[chosen]]
            columns |= _sensitive(model, rows.table, chosen)
        if rows.clients:
            columns[CLIENT] = list(rows.clients[start : start + BATCH])
        yield pa.RecordBatch.from_pydict(columns)


def _inputs(model: PackagedModel, rows: Rows, chosen: np.ndarray[Any, Any]) -> torch.Tensor:
    table = rows.table
    if isinstance(table, FeatureTable):
        return model.preprocess(table.features.iloc[chosen])
    if table is None:
        return torch.stack([_read(model, rows.files[row]) for row in chosen])
    if not isinstance(table, ImageTable):
        raise TypeError("neither images nor a table")
    return torch.stack([model.preprocess(image) for image in table.images[chosen]])


def _read(model: PackagedModel, path: Path) -> torch.Tensor:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return model.preprocess(image)
    except UNREADABLE as error:
        raise InputError(f"{path}: not a readable image ({error}); take it out") from error


def _sensitive(
    model: PackagedModel, table: LabelledTable, chosen: np.ndarray[Any, Any]
) -> dict[str, list[str]]:
    """Values of the sensitive columns, as the groups have them; empty where unknown."""
    columns = tuple(model.study.labels.sensitive)
    groups = [table.group_names[group].split(CROSSED) for group in table.groups[chosen]]
    return {
        column: [parts[i] if parts[i] != UNKNOWN else "" for parts in groups]
        for i, column in enumerate(columns)
        if all(len(parts) == len(columns) for parts in groups)
    }
