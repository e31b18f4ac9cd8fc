"""Rows of a regression as sums of errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from evaluation.audit.arrow import Place
from evaluation.audit.columns import numbers
from evaluation.audit.counting import Counting
from evaluation.audit.gather import Gather
from evaluation.audit.schema import Schema
from evaluation.audit.settings import ReadSettings
from evaluation.audit.tally import Tally

LARGEST = 1e150
"""Of an error: its square is then a number, too."""
TOO_LARGE = (
    "an error of {value:g}: beyond {largest:g} its square is no number any more; give truth and "
    "prediction in a larger unit"
)


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
