"""What a client says of the columns of its training rows, so that they can be scaled and encoded.

Nothing here is a value of one row: moments are sums over at least `min_count` rows, the ends of a
range are the `min_count`-th lowest and highest value rounded outwards to a power of two, and a
category is named if at least `min_count` rows have it. Whatever fewer rows know stays unsaid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

    from fairfed.config import TableConfig

Moments = tuple[float, float, float]
"""Number of values, their sum, and the sum of their squares."""


@dataclass(frozen=True)
class Summary:
    """What one client, or several together, say of columns; `+` joins two."""

    moments: Mapping[str, Moments] = field(default_factory=dict)  # by numeric column
    # By numeric column, lowest and highest; absent where no client says anything.
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    categories: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by categorical column

    def __add__(self, other: Summary) -> Summary:
        """What both say."""
        moments, ranges = dict(self.moments), dict(self.ranges)
        for name, more in other.moments.items():
            n, total, squares = moments.get(name, (0.0, 0.0, 0.0))
            moments[name] = (n + more[0], total + more[1], squares + more[2])
        for name, (low, high) in other.ranges.items():
            so_far = ranges.get(name, (low, high))
            ranges[name] = (min(low, so_far[0]), max(high, so_far[1]))
        names = self.categories.keys() | other.categories.keys()
        categories = {
            name: self.categories.get(name, frozenset()) | other.categories.get(name, frozenset())
            for name in names
        }
        return Summary(moments, ranges, categories)


@dataclass(frozen=True)
class Unknown:
    """Columns of which a schema lacks the moments, the range or the categories."""

    moments: tuple[str, ...]
    ranges: tuple[str, ...]
    categories: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything is lacking."""
        return bool(self.moments or self.ranges or self.categories)


def unknown(schema: TableConfig) -> Unknown:
    """What a schema whose columns are named still lacks."""

    def without(known: Mapping[str, object], scale: str) -> tuple[str, ...]:
        names = schema.numeric if schema.scale == scale else ()
        return tuple(name for name in names if name not in known)

    return Unknown(
        without(schema.moments, "standard"),
        without(schema.ranges, "minmax"),
        tuple(name for name in schema.categorical if name not in schema.categories),
    )


def summary_of(schema: TableConfig, features: pd.DataFrame) -> Summary:
    """Say of a client's training rows what the schema lacks, and no more."""
    lacking, least = unknown(schema), schema.min_count
    columns = {
        name: values[~np.isnan(values)]
        for name in (*lacking.moments, *lacking.ranges)
        for values in [features[name].to_numpy(float)]
    }
    spoken = {name: values for name, values in columns.items() if len(values) >= least}
    categories = {}
    for name in lacking.categories:
        counts = features[name].value_counts()
        categories[name] = frozenset(str(value) for value in counts.index[counts >= least])
    return Summary(
        {name: _moments(spoken[name]) for name in lacking.moments if name in spoken},
        {name: _range(spoken[name], least) for name in lacking.ranges if name in spoken},
        categories,
    )


def _moments(values: npt.NDArray[np.float64]) -> Moments:
    return float(len(values)), float(values.sum()), float((values**2).sum())


def _range(values: npt.NDArray[np.float64], least: int) -> tuple[float, float]:
    ordered = np.sort(values)
    return 0.0 - round_up(-float(ordered[least - 1])), round_up(float(ordered[-least]))


def round_up(value: float) -> float:
    """The next power of two, minus a power of two, or 0 that is not below `value`."""
    if value == 0:
        return 0.0
    exponent = math.log2(abs(value))
    rounded = math.ceil(exponent) if value > 0 else math.floor(exponent)
    return math.copysign(2.0**rounded, value)
