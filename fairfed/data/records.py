"""What a source of images says of each row, before any image is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairfed.data.saying import say
from fairfed.data.splits import Bools, Part
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.config import DataConfig

MARK = "synthetic"
"""Column that tells synthetic rows from real ones in the folders that `augment` writes."""
PREFIX = "fairfed_"
"""Before a column of ours whose name the user's table has already."""


@dataclass(frozen=True, eq=False)
class Records:
    """The rows of a source.

    Attributes
    ----------
    where
        What errors call the source.
    size
        Number of rows.
    columns
        Values of each column, ``size`` each.
    parts
        What the folder or split that a row stands in is for; None where there are none.
    name
        What the image of a row is called.
    content
        The file of a row's image, or its bytes; None where the row has none.
    """

    where: str
    size: int
    columns: Mapping[str, Sequence[object]]
    parts: Sequence[Part] | None
    name: Callable[[int], str]
    content: Callable[[int], Path | bytes | None]


def own_column(name: str, taken: Sequence[str]) -> str:
    """`name`, with `PREFIX` before it as often as it takes to be none of the columns `taken`."""
    while name in taken:
        name = PREFIX + name
    return name


def synthetic_rows(records: Records, data: DataConfig) -> Bools:
    """Which rows `augment` has made, ``[size]``; what becomes of them is said.

    Raises `InputError` if there are any and they may not be there, or would need an owner.
    """
    column = MARK
    while PREFIX + column in records.columns:
        column = PREFIX + column
    if column not in records.columns or column in (data.label, data.client, *data.sensitive):
        return np.zeros(records.size, bool)
    marked = np.array([str(v).strip().lower() == "true" for v in records.columns[column]], bool)
    if not marked.any():
        return marked
    what = f"{records.where}: {marked.sum():,} of {records.size:,} rows are marked {column!r}"
    if data.synthetic == "error":
        raise InputError(
            f"{records.where}: row {marked.argmax() + 1} is synthetic (column {column!r}); use the "
            "folder of real images that it was made from"
        )
    if data.synthetic == "leave-out":
        say(f"{what} and are left out; data.synthetic = 'train' trains on them")
    elif data.client is not None:
        raise InputError(
            f"{what} and are no client's; leave them out (data.synthetic = 'leave-out'), or leave "
            "data.client unset and divide the rows otherwise"
        )
    else:
        say(f"{what}: they are trained on and counted among the clients' own images")
    return marked
