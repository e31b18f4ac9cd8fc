"""Numbers in cells that follow the numbers: as fine as they are, as far as memory allows.

The bits of a float64, read as an integer, are a code that sorts as the numbers do. Numbers are told
apart by their codes less the lowest bits, of which as few are dropped as leave no more than `LIMIT`
different codes. How many that is depends on the set of numbers alone, never on their order or on
how they were split: a part has no more codes than the whole. Up to `LIMIT` different numbers
nothing is dropped, and every cell is one number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.audit.sparse import IntArray
from evaluation.rates import FloatArray

LIMIT = 2**17
"""Different codes that are kept."""
DENSE = 4
"""Codes from the lowest to the highest, per row, up to which a table of all is faster."""

_POWERS = 2 ** np.arange(63, dtype=np.int64)
_ALL_BUT_SIGN = np.int64(2**63 - 1)


@dataclass(frozen=True, eq=False)
class Cells:
    """Intervals of numbers, each of those that agree in their leading bits."""

    codes: IntArray  # increasing: codes less their lowest bits
    dropped: int = 0  # how many bits

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def low(self) -> FloatArray:
        """Least number of each cell."""
        return numbers_of(self.codes << self.dropped)

    @property
    def high(self) -> FloatArray:
        """Largest number of each cell: the least one where no bit is dropped."""
        return numbers_of((self.codes << self.dropped) | (2**self.dropped - 1))

    def coarser(self, dropped: int) -> Cells:
        """The same with more bits dropped."""
        return Cells(_once(self.codes >> (dropped - self.dropped)), dropped)

    def united(self, other: Cells) -> Cells:
        """The cells of both, as if their numbers had been in one place."""
        dropped = max(self.dropped, other.dropped)
        codes = joined(self.coarser(dropped).codes, other.coarser(dropped).codes)
        return Cells(codes, dropped).coarser(dropped + surplus(codes))

    def places(self, wider: Cells) -> IntArray:
        """Index of every cell among cells that are as coarse and hold all of these."""
        return np.searchsorted(wider.codes, self.codes >> (wider.dropped - self.dropped))


def codes_of(numbers: FloatArray) -> IntArray:
    """Integers that sort as the numbers do; 0 and −0 are one."""
    return _mirrored((np.asarray(numbers, np.float64) + 0.0).view(np.int64))


def numbers_of(codes: IntArray) -> FloatArray:
    """The numbers that have these codes."""
    return _mirrored(codes).view(np.float64)


def _mirrored(bits: IntArray) -> IntArray:
    # Negative floats grow in size with their bits: all bits but the sign turn round.
    return np.where(bits < 0, bits ^ _ALL_BUT_SIGN, bits)


def surplus(codes: IntArray, limit: int = LIMIT) -> int:
    """The least number of bits to drop of increasing codes to be left with no more than `limit`."""
    if len(codes) <= limit:
        return 0
    differ = codes[1:] ^ codes[:-1]
    # Two neighbours stay apart while fewer bits are dropped than these; two of opposite sign, ever.
    lengths = np.where(differ < 0, 64, np.searchsorted(_POWERS, differ, side="right"))
    return int(np.partition(lengths, -limit)[-limit])


def present(codes: IntArray) -> IntArray:
    """Codes that occur, increasing."""
    if not _dense(codes, len(codes)):
        return _once(np.sort(codes))
    low = codes.min()
    occurs = np.zeros(int(codes.max() - low) + 1, np.bool_)
    occurs[codes - low] = True
    return np.asarray(np.flatnonzero(occurs) + low)


def places(codes: IntArray, known: IntArray) -> IntArray:
    """Index of every code among increasing ones that hold it."""
    if not _dense(known, len(codes)):
        return np.searchsorted(known, codes)
    table = np.zeros(int(known[-1] - known[0]) + 1, np.int64)
    table[known - known[0]] = np.arange(len(known))
    return np.asarray(table[codes - known[0]])


def joined(a: IntArray, b: IntArray) -> IntArray:
    """The codes of both, each of which increase."""
    return _once(np.sort(np.concatenate([a, b]), kind="stable"))  # fast where parts are in order


def _once(ordered: IntArray) -> IntArray:
    # numpy.unique takes ten times as long.
    first = np.ones(len(ordered), np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return np.asarray(ordered[first])


def _dense(codes: IntArray, rows: int) -> bool:
    """Whether a table from the lowest to the highest is small beside the rows."""
    return bool(len(codes)) and int(codes.max()) - int(codes.min()) < DENSE * rows
