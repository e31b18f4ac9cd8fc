"""Features as the numbers that a model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

    from fairfed.config import TableConfig


def input_names(schema: TableConfig) -> tuple[str, ...]:
    """Names of a model's inputs, in order: numeric columns, then ``column = value``."""
    flags = [f"{name} = {value}" for name in schema.categorical for value in _values(schema, name)]
    return (*schema.numeric, *flags)


def encode(schema: TableConfig, features: pd.DataFrame) -> npt.NDArray[np.float32]:
    """Encode features by a schema in which nothing is left to fit (`fairfed.data.tables.fit`).

    A missing number becomes the middle of its scale (standard: the mean; range: half; unscaled: 0);
    a missing value of a category, or one that the schema does not know, is 0 in every input.
    Returns ``[n, len(input_names(schema))]``; raises `ValueError` if the schema lacks a column's
    moments, range or categories.
    """
    numbers = [_scaled(schema, name, features[name].to_numpy(float)) for name in schema.numeric]
    blocks = [column[:, np.newaxis] for column in numbers]
    for name in schema.categorical:
        values = _values(schema, name)
        codes = features[name].cat.set_categories(list(values)).cat.codes.to_numpy()
        blocks.append(codes[:, np.newaxis] == np.arange(len(values)))
    return np.concatenate(blocks, axis=1, dtype=np.float32, casting="unsafe")


def _values(schema: TableConfig, name: str) -> tuple[str, ...]:
    if name not in schema.categories:
        raise ValueError(f"the categories of {name!r} are not fitted")
    return schema.categories[name]


def _scaled(
    schema: TableConfig, name: str, values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    if schema.scale == "none":
        return np.nan_to_num(values)
    known = schema.moments if schema.scale == "standard" else schema.ranges
    if name not in known:
        raise ValueError(f"the {schema.scale} scale of {name!r} is not fitted")
    if schema.scale == "standard":
        mean, deviation = known[name]
        return np.nan_to_num((values - mean) / (deviation or 1.0))
    low, high = known[name]
    return np.nan_to_num(np.clip((values - low) / (high - low), 0, 1), nan=0.5)
