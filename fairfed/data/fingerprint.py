"""A one-way hash of all data of a run, by which a continued run knows them again.

It is one number over everything, so that no row, label or count can be guessed from it without all
the others. It stays in the run directory of the machine that read the data, in no message.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fairfed.data.stored import StoredImages

if TYPE_CHECKING:
    from hashlib import _Hash

UNKNOWN = "no fingerprint of a {kind}"


def fingerprint(*parts: object) -> str:
    """SHA-256 of arrays, tables, texts, numbers, and of dataclasses and sequences of these."""
    found = hashlib.sha256()
    for part in parts:
        _feed(found, part)
    return found.hexdigest()


def _feed(into: _Hash, part: object) -> None:
    """Take one part in; what it is goes before, so that no two ways to divide them are equal."""
    if isinstance(part, np.ndarray) and not part.dtype.hasobject:
        _text(into, f"{part.dtype.str} {part.shape}")
        into.update(np.ascontiguousarray(part).data)
    elif isinstance(part, StoredImages):
        _text(into, f"{part.dtype.str} {part.shape}")
        for image in part:
            into.update(image.data)
    elif isinstance(part, pd.DataFrame):
        _feed(into, [(str(name), column) for name, column in part.items()])
    elif isinstance(part, pd.Series):
        _feed(into, _column(part))
    elif is_dataclass(part) and not isinstance(part, type):
        _feed(into, [(one.name, getattr(part, one.name)) for one in fields(part)])
    elif isinstance(part, tuple | list):
        _text(into, f"{len(part)} parts")
        for one in part:
            _feed(into, one)
    elif part is None or isinstance(part, str | int | float):
        _text(into, repr(part))
    else:
        raise TypeError(UNKNOWN.format(kind=type(part).__name__))


def _column(column: pd.Series) -> object:
    """A table's column as arrays and texts."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        names = [str(name) for name in column.cat.categories]
        return names, column.cat.codes.to_numpy(np.int64)
    return column.to_numpy()


def _text(into: _Hash, text: str) -> None:
    """Take in a text and its length."""
    data = text.encode()
    into.update(len(data).to_bytes(8, "big") + data)
