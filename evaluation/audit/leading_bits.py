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
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

LIMIT = 2**17
"""Different codes that are kept."""
DENSE = 4
"""Codes from the lowest to the highest, per row, up to which a table of all is faster."""

_POWERS = 2 ** np.arange(63, dtype=np.int64)
_ALL_BUT_SIGN = np.int64(2**63 - 1)


@dataclass(frozen=True, eq=False)
class Cells:
    """Intervals of numbers, each of those that agree in their leading bits.

    Parameters
    ----------
    codes : ndarray of int64, shape (k,)
        Increasing: codes less their lowest bits.
    dropped : int
        How many bits.
    """

    codes: IntArray
    dropped: int = 0

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
        return Cells(np.unique(self.codes >> (dropped - self.dropped)), dropped)

    def united(self, other: Cells) -> Cells:
        """The cells of both, as if their numbers had been in one place."""
        dropped = max(self.dropped, other.dropped)
        codes = np.union1d(self.coarser(dropped).codes, other.coarser(dropped).codes)
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


def distinct(codes: IntArray) -> tuple[IntArray, IntArray]:
    """Different codes, increasing, and the place among them of each."""
    if not len(codes):
        return codes, codes
    low, high = int(codes.min()), int(codes.max())
    if high - low >= DENSE * len(codes):
        found, places = np.unique(codes, return_inverse=True)
        return found, places
    occurs = np.zeros(high - low + 1, np.bool_)
    occurs[codes - low] = True
    return np.flatnonzero(occurs) + low, (np.cumsum(occurs) - 1)[codes - low]
