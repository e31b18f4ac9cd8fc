"""Rows of a regression as sums of errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from evaluation.audit.columns import Place, numbers
from evaluation.audit.counting import Counting, relabelled, whole
from evaluation.audit.gather import Gather
from evaluation.audit.schema import Schema
from evaluation.audit.settings import ReadSettings
from evaluation.audit.tally import Tally


class Errors(Counting):
    """Regression: sums of errors."""

    def __init__(self, settings: ReadSettings) -> None:
        super().__init__(settings)
        self.errors = Gather(4)

    def _add(self, batch: Any, place: Place) -> None:
        columns = (self.settings.truth, str(self.settings.prediction))
        truth, predicted = (numbers(batch.column(name), name, place) for name in columns)
        wrong = [(columns[0], np.isnan(truth)), (columns[1], np.isnan(predicted))]
        codes, gone = self.groups.encode(batch, place)
        keep = self._kept(wrong, gone, place, batch.num_rows)
        lead = self._lead(codes, keep, batch.num_rows)
        unit, column = self.settings.unit, columns[1]
        # An overflow becomes infinite, and is refused below.
        with np.errstate(over="ignore"):
            error = np.where(wrong[0][1] | wrong[1][1], 0.0, predicted - truth)
            squares = error * error
        sums = [whole(own, unit, column, place) for own in (error, np.abs(error), squares)]
        kept = sums if keep is None else [own[keep] for own in sums]
        self.errors.add(self.groups.sizes, lead, kept)

    def tally(self) -> Tally:
        """Sums of errors of all rows."""
        counted = self.errors.counts(self.groups.sizes)
        clients, axes, maps = self.groups.axes(counted.index())
        unit, columns = self.settings.unit, self._columns
        schema = Schema("regression", (), axes, clients, unit=unit, columns=columns)
        return Tally(schema, errors=relabelled(counted, maps, schema.group_shape))
