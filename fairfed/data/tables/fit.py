"""Fitting a schema to the federation: what it lacks is asked of the clients, in sums.

The server sees counts, sums and frequent categories (`fairfed.data.tables.summary`), puts what
follows from them into the configuration, and sends that to every client with each request.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import TYPE_CHECKING, Any

from fairfed.data.table import natural_order
from fairfed.data.tables.encode import input_names
from fairfed.data.tables.summary import Moments, Summary, unknown
from semantic.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flwr.app import RecordDict

    from fairfed.config import Config, FederationConfig, TableConfig
    from fairfed.data.tables.table import FeatureTable

NUMERIC, CATEGORIES = "numeric", "categories"
"""Records of an answer; `numeric` has a column's numbers as ``moments.AGE`` and ``range.AGE``."""


def named_columns(config: Config, table: FeatureTable) -> Config:
    """The configuration with the input columns named, as the table was read."""
    kinds = table.features.dtypes
    numeric = tuple(name for name in table.features if kinds[name].kind == "f")
    categorical = tuple(name for name in table.features if name not in numeric)
    columns = config.data.table.model_copy(update={"numeric": numeric, "categorical": categorical})
    return config.model_copy(update={"data": config.data.model_copy(update={"table": columns})})


def fit(study: FederationConfig, ask: Callable[[], Mapping[int, RecordDict]]) -> FederationConfig:
    """The study of a table with nothing left to fit; that of images as it is.

    Of `study` the columns are named; `ask` asks all clients (``query.summarise``) unless nothing is
    lacking. Raises `QueryError` if one gives no answer, `InputError` if they together know too
    little of a column.
    """
    if study.labels.kind != "table" or not unknown(study.table):
        return study
    merged = functools.reduce(operator.add, map(from_records, ask().values()))
    table = study.table.model_copy(update=fitted_fields(study.table, merged))
    if not input_names(table):
        raise InputError(
            "data.table: no input is left, for no category is frequent enough; lower min_count or "
            "give data.table.categories"
        )
    return study.model_copy(update={"table": table})


def fitted_fields(schema: TableConfig, merged: Summary) -> dict[str, Any]:
    """Fields of the schema with what the clients' answers add to them.

    Raises `InputError` if no client has enough rows to say anything of a numeric column.
    """
    lacking = unknown(schema)
    for setting, names, said in (
        ("moments", lacking.moments, merged.moments),
        ("ranges", lacking.ranges, merged.ranges),
    ):
        for name in names:
            if name not in said:
                raise InputError(
                    f"data.table.{setting}: no client has {schema.min_count} values of {name!r}; "
                    f"give {setting}.{name}, lower min_count, or drop the column"
                )
    moments = {name: mean_and_deviation(merged.moments[name]) for name in lacking.moments}
    ranges = {name: _wide(*merged.ranges[name]) for name in lacking.ranges}
    found = {name: natural_order(list(merged.categories[name])) for name in lacking.categories}
    return {
        "moments": {**schema.moments, **moments},
        "ranges": {**schema.ranges, **ranges},
        "categories": {**schema.categories, **found},
    }


def mean_and_deviation(moments: Moments) -> tuple[float, float]:
    """Mean and population standard deviation; 0 where the sums leave nothing but rounding."""
    n, total, squares = moments
    mean = total / n
    variance = squares / n - mean**2
    return mean, math.sqrt(variance) if variance > 1e-12 * mean**2 else 0.0


def to_records(summary: Summary) -> dict[str, Any]:
    """A summary as Flower's records; `from_records` of them gives it back."""
    from flwr.app import ConfigRecord, MetricRecord

    numeric: dict[str, Any] = {
        f"moments.{name}": list(sums) for name, sums in summary.moments.items()
    }
    numeric |= {f"range.{name}": list(ends) for name, ends in summary.ranges.items()}
    named: dict[str, Any] = {name: sorted(values) for name, values in summary.categories.items()}
    return {NUMERIC: MetricRecord(numeric), CATEGORIES: ConfigRecord(named)}


def from_records(records: RecordDict) -> Summary:
    """The summary in a client's answer."""
    numeric: dict[str, Any] = dict(records.metric_records[NUMERIC])
    named: dict[str, Any] = dict(records.config_records[CATEGORIES])

    def those(kind: str) -> dict[str, Any]:
        prefix = f"{kind}."
        chosen = {name: ends for name, ends in numeric.items() if name.startswith(prefix)}
        return {name.removeprefix(prefix): tuple(ends) for name, ends in chosen.items()}

    categories = {name: frozenset(values) for name, values in named.items()}
    return Summary(those("moments"), those("range"), categories)


def _wide(low: float, high: float) -> tuple[float, float]:
    """A range that is not empty."""
    return (low, high) if low < high else (low, low + 1.0)
