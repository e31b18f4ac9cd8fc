"""Texts of a column as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from semantic.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def is_numeric(column: pd.Series, missing: Sequence[str]) -> bool:
    """Whether every text of a column that is not missing is a finite number, and one is there."""
    absent, numbers = _parse(column, missing)
    return bool(np.isfinite(numbers[~absent]).all() and not absent.all())


def parse_numbers(column: pd.Series, missing: Sequence[str], where: str) -> npt.NDArray[np.float64]:
    """The numbers of a column, NaN where missing; `InputError` names the row of what is none."""
    absent, numbers = _parse(column, missing)
    bad = np.flatnonzero(~np.isfinite(numbers) & ~absent)
    if bad.size:
        row = column.index[bad[0]] + 1
        raise InputError(
            f"{where}: row {row} has {column.name} = {column.iloc[bad[0]]!r}, expected a "
            "number; correct it, add it to data.table.missing, or name the column in "
            "data.table.categorical"
        )
    return numbers


def _parse(
    column: pd.Series, missing: Sequence[str]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Which texts are missing, and the numbers; NaN for what is missing or none."""
    import pandas as pd

    absent = column.isin(missing)
    numbers = pd.to_numeric(column.mask(absent), errors="coerce")
    return absent.to_numpy(bool), numbers.to_numpy(np.float64)
