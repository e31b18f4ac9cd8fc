"""The rows of one site, in the federation's names and positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fairfed.config.data import DataConfig, ReadingConfig
from fairfed.config.labels import MISSING, LabelSpace
from fairfed.config.site import SiteConfig, SiteData
from fairfed.config.table import Grouping, TableConfig
from fairfed.data.columns import known_texts, read_persons, require_columns, set_aside
from fairfed.data.grouping import name_groups
from fairfed.data.load import InUse, rows_in_use, with_images
from fairfed.data.reading import read_records
from fairfed.data.records import Records
from fairfed.data.table import ImageTable, LabelledTable
from fairfed.data.tables.read import read_table
from fairfed.data.tables.table import with_features
from fairfed.sites.mapping import Names, Renamed, group_positions, rename
from fairfed.sites.report import DataReport, cell_counts
from semantic.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from fairfed.data.tables import FeatureTable


def load_site_data(
    site: SiteConfig, labels: LabelSpace, seed: int, schema: TableConfig | None = None
) -> tuple[ImageTable | FeatureTable, DataReport]:
    """Read a site's rows and give them the federation's labels and groups.

    Parameters
    ----------
    site
        With its paths placed (`fairfed.config.site.load_site`).
    labels
        The federation's classes and groups; the table has all of them, in that order, whichever
        the site holds.
    seed
        Of the rows that are set aside for testing where the data do not say.
    schema
        Of a table: the federation's columns. Without it, those of the site's own `[data.table]`.

    Returns
    -------
    The table, and what became of the rows.

    Raises
    ------
    semantic.errors.InputError
        If the data are not as site.toml says, or cannot be mapped; it names the file, row and
        column, and what to write.
    """
    data = site.data
    tabular = "table" if data.tabular else "images"
    if tabular != labels.kind:
        raise InputError(
            f"data.source: {data.source!r} is {_KINDS[tabular]}, and the federation's rows are "
            f"those of {_KINDS[labels.kind]}; name other data"
        )
    strange = [name for name in data.sensitive if name not in labels.sensitive]
    if strange:
        known = ", ".join(labels.sensitive) or "none"
        raise InputError(
            f"data.sensitive: the federation has no sensitive column {strange[0]!r} (there are: "
            f"{known}); write its name to the left, and the site's column to the right"
        )
    if data.tabular:
        return _table(data, labels, seed, schema or data.table)
    return _images(data, labels, seed)


_KINDS = {"images": "a source of images", "table": "a table"}


def reading_of(data: SiteData, image_size: int | None = None) -> DataConfig:
    """How the readers of a run read a site's rows: its own columns, labels as they stand."""
    own: dict[str, Any] = {name: getattr(data, name) for name in ReadingConfig.model_fields}
    if image_size is not None:
        own["image_size"] = image_size
    return DataConfig(**own, sensitive=tuple(data.sensitive.values()))


class Mapped(NamedTuple):
    """Rows in the federation's names."""

    kept: npt.NDArray[np.bool_]  # ``[n]``, which rows have a class of the federation
    # ``[k]``, positions of the classes and groups of those rows.
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    # ``[k]`` values in the federation's names, by sensitive column that the site has.
    sensitive: dict[str, list[str | None]]
    renamed: dict[str, Renamed]  # by table of site.toml, what became of a column


def map_rows(columns: Columns, data: SiteData, labels: LabelSpace) -> Mapped:
    """Call classes and sensitive values what the federation does; strange ones may be an error."""
    where, rows = columns.where, columns.rows
    names = Names(
        "labels", data.label, data.labels, labels.classes, "leaves the rows out", 'unknown = "drop"'
    )
    named = rename(columns.labels, names, where, rows, strict=data.unknown == "error", blank=False)
    kept = np.array([name is not None for name in named.values], bool)
    left = np.flatnonzero(kept).tolist()
    if not left:
        raise InputError(f"{where}: no row has a label that the federation knows, so none is left")
    renamed, values = {"labels": named}, {}
    for column, texts in columns.sensitive.items():
        setting = f"groups.{column}"
        names = Names(
            setting, data.sensitive[column], data.groups.get(column, {}), labels.sensitive[column],
            "counts them as missing", 'unknown_groups = "missing"',
        )  # fmt: skip
        renamed[setting] = rename(
            [texts[place] for place in left], names, where, [rows[place] for place in left],
            strict=data.unknown_groups == "error",
        )  # fmt: skip
        values[column] = renamed[setting].values
    positions = {name: place for place, name in enumerate(labels.classes)}
    found = np.array([positions[name] for name in named.values if name is not None], np.int64)
    return Mapped(kept, found, group_positions(values, len(left), labels), values, renamed)


class Columns(NamedTuple):
    """What a site's rows are labelled with, before anything is mapped."""

    # The source, and how many rows it has.
    where: str
    size: int
    rows: list[int]  # ``[n]``, positions of those that are used
    # ``[n]`` texts in the site's own names, None where there is none; `sensitive` by the
    # federation's column.
    labels: list[str | None]
    sensitive: dict[str, list[str | None]]


def site_columns(data: SiteData) -> Columns:
    """Read what a site's rows are labelled with; no image is opened."""
    return _table_columns(data)[1] if data.tabular else _image_columns(data)[2]


def _image_columns(data: SiteData) -> tuple[Records, InUse, Columns]:
    reading = reading_of(data)
    records = read_records(reading)
    require_columns(list(records.columns), reading, records.where)
    use = rows_in_use(records, reading)
    rows = use.rows.tolist()

    def texts(column: str) -> list[str | None]:
        return known_texts([records.columns[column][row] for row in rows], data.missing)

    return records, use, _columns(data, texts, records.where, records.size, rows)


def _table_columns(data: SiteData) -> tuple[pd.DataFrame, Columns]:
    reading = reading_of(data)
    frame, where = read_table(reading)
    require_columns(list(frame.columns), reading, where)

    def texts(column: str) -> list[str | None]:
        return [None if text in data.table.missing else text for text in frame[column]]

    return frame, _columns(data, texts, where, len(frame), list(range(len(frame))))


def _columns(
    data: SiteData,
    texts: Callable[[str], list[str | None]],
    where: str,
    size: int,
    rows: list[int],
) -> Columns:
    """The columns, sensitive ones cut into groups where site.toml says how.

    Without that their values stay as they are: those that nobody knows are found when they are
    mapped. One that reads `missing` is none, as in a run.
    """
    sensitive = {}
    for name, column in data.sensitive.items():
        rule = data.table.groups.get(column)
        values = [None if text == MISSING else text for text in texts(column)]
        sensitive[name] = name_groups(values, column, rule, where, rows) if rule else values
    return Columns(where, size, rows, texts(data.label), sensitive)


def _images(data: SiteData, labels: LabelSpace, seed: int) -> tuple[ImageTable, DataReport]:
    records, use, columns = _image_columns(data)
    mapped = map_rows(columns, data, labels)
    test = None if use.test is None else use.test[mapped.kept]
    training = use.training[mapped.kept]
    persons = read_persons(records, use.rows[mapped.kept].tolist(), data)
    test = set_aside(
        test, training, mapped.labels, mapped.groups, None, seed, columns.where, data.split, persons
    )
    known = LabelledTable(mapped.labels, mapped.groups, test, labels.classes, labels.groups)
    reading = reading_of(data, labels.image_size)
    table, lost = with_images(records, use.rows[mapped.kept], known, reading)
    return table, _report(table, mapped, labels, data, columns, use.unused, lost)


def _table(
    data: SiteData, labels: LabelSpace, seed: int, schema: TableConfig
) -> tuple[FeatureTable, DataReport]:
    frame, columns = _table_columns(data)
    mapped = map_rows(columns, data, labels)
    lacking = [name for name in labels.sensitive if name not in data.sensitive]
    own = _renamed(frame[mapped.kept], data, columns.where).assign(**dict.fromkeys(lacking, ""))
    read = {"missing": data.table.missing, "groups": dict[str, Grouping](), "positive": None}
    settings = {"sensitive": tuple(labels.sensitive), "table": schema.model_copy(update=read)}
    nothing: list[str | None] = [None] * len(own)
    sensitive = {name: mapped.sensitive.get(name, nothing) for name in labels.sensitive}
    none = np.zeros(len(own), bool)
    known = LabelledTable(mapped.labels, mapped.groups, none, labels.classes, labels.groups)
    reading = reading_of(data).model_copy(update=settings)
    table = with_features(own, sensitive, known, reading, seed, columns.where)
    return table, _report(table, mapped, labels, data, columns, {}, {})


def _renamed(frame: pd.DataFrame, data: SiteData, where: str) -> pd.DataFrame:
    """The columns, called what the federation calls them."""
    called = {column: name for name, column in (*data.columns.items(), *data.sensitive.items())}
    for column, name in called.items():
        if column not in frame.columns:
            raise InputError(
                f"{where}: no column {column!r}, which data.columns names for {name!r}; there are: "
                f"{', '.join(frame.columns)}"
            )
        if name != column and name in frame.columns and name not in called:
            raise InputError(
                f"{where}: has a column {name!r}, while site.toml calls {column!r} so; rename it"
            )
    return frame.rename(columns=called)


def _report(
    table: ImageTable | FeatureTable,
    mapped: Mapped,
    labels: LabelSpace,
    data: SiteData,
    columns: Columns,
    unused: Mapping[str, int],
    lost: Mapping[str, int],
) -> DataReport:
    named = mapped.renamed["labels"]
    others = {
        "with a label that data.labels leaves out": named.emptied.total(),
        "with a label that the federation does not know": named.unknown.total(),
    }
    groups = {name: mapped.renamed[f"groups.{name}"] for name in mapped.sensitive}
    return DataReport(
        where=columns.where,
        unit=table.unit,
        read=columns.size,
        left_out={**unused, **others, **lost},
        emptied=dict(named.emptied),
        unknown=dict(named.unknown),
        missing={name: dict(one.emptied + one.unknown) for name, one in groups.items()},
        lacking=tuple(name for name in labels.sensitive if name not in data.sensitive),
        called={setting: one.called for setting, one in mapped.renamed.items()},
        unused={setting: one.unused for setting, one in mapped.renamed.items()},
        classes=labels.classes,
        groups=labels.groups,
        train=cell_counts(table, ~table.test),
        test=cell_counts(table, table.test),
    )
