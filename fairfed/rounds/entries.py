"""The entries of a reply's record of metrics, each read once and checked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from flwr.app import MetricRecord, RecordDict
from numpy.typing import NDArray

COUNTS_END = 2**53
"""Counts are below it: doubles hold every one of them, and sums of them, exactly enough."""
SECONDS_END = 1e9
"""More seconds (31 years) are no measurement."""

MISSING_RECORD = "the reply has no {kind} '{name}' (it has: {found})"
MISSING_KEY = "the reply's '{record}' has no '{name}' (it has: {found})"
NOT_A_NUMBER = "'{name}' is {value!r}: expected a number"
NOT_A_COUNT = "'{name}' is {value!r}: expected a whole number from 0 to below 2**53"
NOT_A_PARTITION = "'{name}' is {value!r}: expected an integer, the client's partition id"
NOT_SECONDS = "'{name}' is {value!r}: expected seconds, from 0 to {end:g}"
BAD_COUNTS = "'{name}' must be {expected} counts >= 0 ({axes}), got {got}"


class RejectedReply(ValueError):  # noqa: N818  (it is the reply that is named, not an error)
    """A reply that cannot be used; the message is the reason for the log."""


def non_negative_int(value: object) -> int | None:
    """Return a count as an integer; None for what is none: a fraction, negative, NaN, too large."""
    if not isinstance(value, int | float) or not 0 <= value < COUNTS_END or value != int(value):
        return None
    return int(value)


class Entries:
    """Typed access to a reply's record of metrics; every method raises :class:`RejectedReply`."""

    def __init__(self, content: RecordDict, record: str) -> None:
        metrics = content.metric_records.get(record)
        if metrics is None:
            found = sorted(content.metric_records)
            raise RejectedReply(
                MISSING_RECORD.format(kind="MetricRecord", name=record, found=found)
            )
        self._metrics: MetricRecord = metrics
        self._record = record

    def __contains__(self, name: str) -> bool:
        """Say whether there is such an entry."""
        return name in self._metrics

    def number(self, name: str) -> float:
        """Return a number, finite or not."""
        value = self._value(name)
        if not isinstance(value, int | float):
            raise RejectedReply(NOT_A_NUMBER.format(name=name, value=value))
        try:
            return float(value)
        except OverflowError:  # an integer beyond the range of doubles
            return float("inf")

    def count(self, name: str) -> int:
        """Return a whole number that is not negative and below 2**53."""
        value = self._value(name)
        count = non_negative_int(value)
        if count is None:
            raise RejectedReply(NOT_A_COUNT.format(name=name, value=value))
        return count

    def partition(self, name: str) -> int:
        """Return a partition id."""
        value = self._value(name)
        if not isinstance(value, int):
            raise RejectedReply(NOT_A_PARTITION.format(name=name, value=value))
        return value

    def seconds(self, name: str) -> float:
        """Return a time that was taken."""
        value = self.number(name)
        if not 0 <= value <= SECONDS_END:
            raise RejectedReply(NOT_SECONDS.format(name=name, value=value, end=SECONDS_END))
        return value

    def confusion(self, name: str, shape: tuple[int, int]) -> NDArray[np.int64]:
        """Return confusion counts as ``[G, C, C]``."""
        groups, classes = shape
        return self.cells(name, (groups, classes, classes), "groups x classes x classes")

    def cells(
        self, name: str, shape: tuple[int, ...], axes: str = "cell by cell"
    ) -> NDArray[np.int64]:
        """Return counts of a shape."""
        expected = math.prod(shape)
        value = self._value(name)
        good = isinstance(value, list) and all(isinstance(c, int) and 0 <= c < 2**40 for c in value)
        if not good or len(value) != expected:
            got = f"{len(value)} values" if isinstance(value, list) else repr(value)
            got += "" if good else ", not all of them counts"
            raise RejectedReply(BAD_COUNTS.format(name=name, expected=expected, axes=axes, got=got))
        return np.asarray(value, np.int64).reshape(shape)

    def _value(self, name: str) -> Any:
        """Return an entry that must be there."""
        if name not in self._metrics:
            found = sorted(self._metrics)
            raise RejectedReply(MISSING_KEY.format(record=self._record, name=name, found=found))
        return self._metrics[name]
