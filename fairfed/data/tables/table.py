"""From the columns of a table to rows with a label, a group, a part and features."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from fairfed.data.columns import filled_texts, persons_of, require_columns, say_divided
from fairfed.data.grouping import name_groups
from fairfed.data.splits import Part, read_split
from fairfed.data.table import LabelledTable, encode_groups, encode_labels
from fairfed.data.tables.read import read_table
from fairfed.data.tables.values import is_numeric, parse_numbers
from semantic.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from fairfed.config import Config, DataConfig, TableConfig

Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


class Parts(NamedTuple):
    """What rows are for, each ``[n]``: a row that is not held out is for training."""

    held: Bools  # held out from training
    measured: Bools  # held out, and what models are measured on
    # Held out, and what the server judges the clients' models on; never one that is measured.
    server: Bools


@dataclass(frozen=True, eq=False)
class FeatureTable(LabelledTable):
    """Rows of a table. `test` marks all rows that are held out from training."""

    # ``n`` rows: numeric columns as float64 (NaN: missing), then categorical ones as pandas
    # categories (missing: none).
    features: pd.DataFrame = field(kw_only=True)
    # ``[n]``, True for the held-out rows that models are measured on.
    measured: Bools = field(kw_only=True)
    # ``[n]``, True for the held-out rows that the server has to judge the clients' models on.
    server: Bools = field(kw_only=True)


def load_table(config: Config) -> FeatureTable:
    """Load the table of `config.data`.

    Raises
    ------
    semantic.errors.InputError
        If the table is not as the configuration says; it names the file, row and column.
    """
    frame, where = read_table(config.data)
    server = config.fairness.probe_source == "validation"
    return table_from(frame, config.data, config.seed, where, server)


def table_from(
    frame: pd.DataFrame, data: DataConfig, seed: int, where: str, server: bool = False
) -> FeatureTable:
    """Build the table from a DataFrame of texts; with `server`, with rows for the server."""
    schema = data.table
    require_columns(list(frame.columns), data, where)
    sensitive = {name: grouped(frame[name], schema, where) for name in data.sensitive}
    names, classes = _binary(filled_texts(frame[data.label], where, data.label), data, where)
    clients = None
    if data.client is not None:
        clients = tuple(filled_texts(frame[data.client], where, data.client))
    group_names, groups = encode_groups(sensitive, len(frame))
    classes, labels = encode_labels(names, classes, where)
    none = np.zeros(len(frame), bool)
    known = LabelledTable(labels, groups, none, classes, group_names, clients)
    return with_features(frame, sensitive, known, data, seed, where, server)


def with_features(
    frame: pd.DataFrame,
    sensitive: Mapping[str, Sequence[str | None]],
    known: LabelledTable,
    data: DataConfig,
    seed: int,
    where: str,
    server: bool = False,
) -> FeatureTable:
    """The rows with their features, divided into parts; see `draw_parts`.

    The frame is of texts, and its index numbers the rows in errors; `sensitive` has the groups of
    each row, by sensitive column. What `known.test` says is of no account. Raises `InputError` if a
    column is missing or not as the configuration says; it names the row.
    """
    schema = data.table
    _require(list(frame.columns), schema, where)
    features = _features(frame, sensitive, data, where)
    split = None
    if data.split in frame.columns:
        split = read_split(frame[data.split].tolist(), data.split, where, frame.index.tolist())
    seed = seed if schema.split_seed is None else schema.split_seed
    persons = None
    if data.split_by is not None:
        texts = [None if text in schema.missing else text for text in frame[data.split_by]]
        every = persons_of(texts)
        number = {person: place for place, person in enumerate(every)}
        persons = np.array([number[person] for person in every])
    parts = draw_parts(len(frame), split, schema, seed, server, persons)
    if split is not None:
        say_divided(None if persons is None else persons.tolist(), parts.held, where)
    return FeatureTable(
        known.labels,
        known.groups,
        parts.held,
        known.classes,
        known.group_names,
        known.clients,
        features=features,
        measured=parts.measured,
        server=parts.server,
    )


def draw_parts(
    n: int,
    split: Sequence[Part] | None,
    schema: TableConfig,
    seed: int,
    server: bool = False,
    persons: Rows | None = None,
) -> Parts:
    """Draw what the rows are for.

    Drawn with scikit-learn as FAIR-FATE's protocol does, so that a seed gives its rows. Where the
    data has a split of its own, only validation rows are drawn, and those only if it has none.

    With `server` the server has the validation rows to judge models on. If they are also what is
    measured, it has a random half and the other half is measured: what steers must not choose.
    `persons`, ``[n]``, are whom the rows are of: each is drawn with all that it has. Raises
    `InputError` if there are too few rows to divide.
    """
    rows, persons = np.arange(n), np.arange(n) if persons is None else persons
    if split is None:
        training, held = _cut(rows, schema.test + schema.validation, seed, persons)
        share = schema.validation / (schema.test + schema.validation)
        test, validation = _cut(held, share, seed, persons)
    else:
        test, validation, training = (
            rows[np.array(split) == part] for part in ("test", "validation", "train")
        )
        if not validation.size:
            training, validation = _cut(training, schema.validation, seed, persons)
    judging = validation if server else rows[:0]
    if server and schema.measure == "validation":
        validation, judging = _cut(validation, 0.5, seed, persons)
    measured = test if schema.measure == "test" else validation
    return Parts(~np.isin(rows, training), np.isin(rows, measured), np.isin(rows, judging))


def _cut(rows: Rows, share: float, seed: int, persons: Rows) -> tuple[Rows, Rows]:
    """The rows without those of a random share of their persons, and those."""
    from sklearn.model_selection import train_test_split

    if not share:
        return rows, rows[:0]
    if len(rows) < 2:
        raise InputError("data.table: too few rows to divide into training, test and validation")
    every = np.unique(persons[rows])
    if len(every) == len(rows):
        rest, part = train_test_split(rows, test_size=share, random_state=seed)
        return rest, part
    _, chosen = train_test_split(every, test_size=share, random_state=seed)
    drawn = np.isin(persons[rows], chosen)
    return rows[~drawn], rows[drawn]


def _binary(names: list[str], data: DataConfig, where: str) -> tuple[list[str], tuple[str, ...]]:
    """Labels and their declared space, the positive one last where there is a positive one."""
    positive, found = data.table.positive, sorted(set(names))
    if len(found) < 2:
        raise InputError(f"{where}: {data.label} is {found[0]!r} in every row; two values needed")
    if positive is None:
        return names, data.classes
    if positive not in found:
        raise InputError(
            f"data.table.positive: {data.label} is nowhere {positive!r} in {where}; there are: "
            f"{', '.join(found)}"
        )
    others = [name for name in found if name != positive]
    negative = others[0] if len(others) == 1 else f"not {positive}"
    return [name if name == positive else negative for name in names], (negative, positive)


def _require(found: Sequence[str], schema: TableConfig, where: str) -> None:
    """Check that the columns that the schema names exist."""
    named = {"numeric": schema.numeric, "categorical": schema.categorical, "drop": schema.drop}
    for setting, columns in named.items():
        for name in columns:
            if name not in found:
                close = difflib.get_close_matches(name, found, n=1)
                advice = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(found)}"
                raise InputError(f"data.table.{setting}: {where} has no column {name!r}; {advice}")


def grouped(column: pd.Series, schema: TableConfig, where: str) -> list[str | None]:
    """The group of each row by one sensitive column; None where the value is missing."""
    name = str(column.name)
    texts = [None if text in schema.missing else text for text in column]
    return name_groups(texts, name, schema.groups.get(name), where)


def _features(
    frame: pd.DataFrame,
    sensitive: Mapping[str, Sequence[str | None]],
    data: DataConfig,
    where: str,
) -> pd.DataFrame:
    """The input columns; a sensitive one enters as its groups, unless it is named as numeric."""
    import pandas as pd

    schema = data.table
    numeric, categorical = _inputs(frame, data)
    columns = {name: parse_numbers(frame[name], schema.missing, where) for name in numeric}
    for name in categorical:
        texts = frame[name].mask(frame[name].isin(schema.missing), None)
        columns[name] = pd.Categorical(sensitive.get(name, texts))
    if not columns:
        raise InputError(f"{where}: no input column is left; see data.table.numeric, drop")
    return pd.DataFrame(columns, index=range(len(frame)))


def _inputs(frame: pd.DataFrame, data: DataConfig) -> tuple[list[str], list[str]]:
    """Names of the numeric and of the categorical input columns."""
    schema = data.table
    own = {data.label, data.client, data.split, *schema.drop}
    if schema.numeric or schema.categorical:
        named = (schema.numeric, schema.categorical)
        return [[n for n in names if n not in own] for names in named]  # type: ignore[return-value]
    names = [name for name in frame.columns if name not in own]
    numeric = [
        name
        for name in names
        if name not in data.sensitive and is_numeric(frame[name], schema.missing)
    ]
    return numeric, [name for name in names if name not in numeric]
