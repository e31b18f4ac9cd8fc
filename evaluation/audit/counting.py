"""What counting rows has in common, whatever was predicted; errors of a regression.

The counts are the same however the rows are split or ordered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.columns import Codes, Place, numbers
from evaluation.audit.gather import Gather
from evaluation.audit.groups import Groups
from evaluation.audit.schema import Schema
from evaluation.audit.settings import ReadSettings
from evaluation.audit.sparse import IntArray
from evaluation.audit.tally import Tally

Mask = NDArray[np.bool_]

NO_VALUE = (
    "no value (nothing, NaN or infinite); leave such rows out with --invalid drop "
    "(Python: invalid='drop'), or say with --missing-values which texts are none (missing_values=)"
)
LARGEST = 1e150
"""Of an error: its square is then a number, too."""
TOO_LARGE = (
    "an error of {value:g}: beyond {largest:g} its square is no number any more; give truth and "
    "prediction in a larger unit"
)


class Counting(ABC):
    """Rows counted so far."""

    def __init__(self, settings: ReadSettings) -> None:
        self.settings = settings
        self.groups = Groups(settings)
        self.dropped: Counter[str] = Counter()
        self.clipped: Counter[str] = Counter()
        self.rows = 0

    def add(self, batch: Any, place: Place) -> None:
        """Count the rows of an Arrow record batch, 2²⁰ at most."""
        self.rows += batch.num_rows
        if batch.num_rows:
            self._add(batch, place)

    @abstractmethod
    def tally(self) -> Tally:
        """Counts of all rows; refused where what was found does not fit the settings."""

    @abstractmethod
    def _add(self, batch: Any, place: Place) -> None:
        """Count the rows of a batch that has some."""

    def _kept(
        self,
        wrong: list[tuple[str, Mask]],
        gone: list[tuple[str, Mask]],
        place: Place,
        n: int,
    ) -> Mask | None:
        """Rows that count, None for all; `wrong` lack a value that is needed, `gone` a group."""
        keep = np.ones(n, np.bool_)
        for column, mask in wrong:
            if self.settings.invalid == "error" and mask.any():
                raise place.error(int(np.argmax(mask)), column, NO_VALUE)
        for column, mask in (*wrong, *gone):
            lost = int(np.count_nonzero(keep & mask))
            if lost:
                self.dropped[column] += lost
                keep &= ~mask
        return None if keep.all() else keep

    def _lead(self, codes: list[Codes], keep: Mask | None, n: int) -> IntArray:
        """Cell of each row that counts among clients and groups."""
        sizes = self.groups.sizes[len(self.groups.sizes) - len(codes) :]
        flat = np.zeros(n, np.int64)  # row-major
        for own, size in zip(codes, sizes, strict=True):
            flat *= size
            flat += own
        return flat if keep is None else flat[keep]

    @property
    def _columns(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.settings.columns())


class Errors(Counting):
    """Regression: sums of errors."""

    def __init__(self, settings: ReadSettings) -> None:
        super().__init__(settings)
        self.errors = Gather(("plain", "absolute", "squared"))

    def _add(self, batch: Any, place: Place) -> None:
        columns = (self.settings.truth, str(self.settings.prediction))
        gone = self.settings.missing_texts
        truth, predicted = (numbers(batch.column(name), name, place, gone) for name in columns)
        wrong = [(columns[0], np.isnan(truth)), (columns[1], np.isnan(predicted))]
        codes, lost = self.groups.encode(batch, place)
        keep = self._kept(wrong, lost, place, batch.num_rows)
        lead = self._lead(codes, keep, batch.num_rows)
        # An overflow becomes infinite, and is refused below.
        with np.errstate(over="ignore"):
            error = predicted - truth
        large = np.abs(error) > LARGEST
        if large.any():
            row = int(np.argmax(large))
            what = TOO_LARGE.format(value=error[row], largest=LARGEST)
            raise place.error(row, columns[1], what)
        self.errors.add(self.groups.sizes, lead, error if keep is None else error[keep])

    def tally(self) -> Tally:
        """Sums of errors of all rows."""
        counted = self.errors.counts(self.groups.sizes)
        clients, axes, maps = self.groups.axes(counted.index())
        schema = Schema(
            "regression", (), axes, clients, place=self.errors.place, columns=self._columns
        )
        return Tally(schema, errors=counted.relabelled(maps, schema.group_shape))
