"""Sums of floating-point numbers without rounding, whatever their size and order.

Digit by digit: a float is at most three digits in base 2³⁰, the square of one six. Digits of one
place are added as integers, so that neither the order of rows nor their split over files and sites
matters (a superaccumulator; Neal 2015, arXiv:1505.05571). What becomes of them is one integer of
unlimited size for each sum, in units of a power of two that the rows themselves need; it is rounded
once, when a number is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.sparse import ExactArray
from evaluation.rates import FloatArray

BITS = 30
"""Of a digit: 2²⁰ of them add up exactly in float64, 2³³ in an int64."""
BASE = 2**BITS
DIGITS = 3
"""Of a float: 53 bits, wherever they begin, lie within three digits."""
FINEST_PLACE = -36
"""Place of the smallest float, 2⁻¹⁰⁷⁴."""
MOST_BITS = 1024
"""Before the point, of any float."""
FAINT = 300
"""A group may weigh less than the mean of all rows by this power of two; beyond, it is lifted."""


Rows = NDArray[np.intp] | slice


@dataclass(frozen=True, eq=False)
class Block:
    """Numbers of about one size in base 2³⁰: the sum of ``digits[k] · BASE^(first − k)``.

    Parameters
    ----------
    rows : ndarray of int, shape (n,), or slice
        Which of all rows they are.
    first : int
        Place of the first digit.
    digits : tuple of ndarray of float64, each of shape (n,)
        Whole, below `BASE`, of the sign of the number.
    """

    rows: Rows
    first: int
    digits: tuple[FloatArray, ...]

    def absolute(self) -> Block:
        """Without the signs."""
        return Block(self.rows, self.first, tuple(np.abs(own) for own in self.digits))

    def squared(self) -> Block:
        """Squares, by long multiplication: nothing overflows, and nothing is too small."""
        own = [digits.astype(np.int64) for digits in self.digits]
        n = len(own)
        carry, found = np.zeros(len(own[0]), np.int64), []
        for k in reversed(range(2 * n - 1)):
            # At most three products of 60 bits, and the carry.
            for i in range(max(0, k - n + 1), (k + 1) // 2):
                carry += 2 * own[i] * own[k - i]
            if k % 2 == 0:
                carry += own[k // 2] ** 2
            found.append((carry & (BASE - 1)).astype(np.float64))
            carry >>= BITS
        found.append(carry.astype(np.float64))
        return Block(self.rows, 2 * self.first + 1, tuple(found[::-1]))


Digits = list[Block]
"""Of all rows; those that are 0 are in none."""


def digits_of(values: FloatArray) -> Digits:
    """Numbers, all finite, as digits."""
    mantissa, exponent = np.frexp(values)
    first = (exponent - 1) // BITS
    blocks = []
    for place in _distinct(first[mantissa != 0]):
        rows = np.flatnonzero((first == place) & (mantissa != 0))
        whole = len(rows) == len(values)
        own = slice(None) if whole else rows
        rest = np.ldexp(mantissa[own], exponent[own] - BITS * place)
        blocks.append(Block(own, place, tuple(_digits(rest))))
    return blocks


def absolute(digits: Digits) -> Digits:
    """Numbers without their signs."""
    return [block.absolute() for block in digits]


def squared(digits: Digits) -> Digits:
    """Squares of numbers."""
    return [block.squared() for block in digits]


def _digits(rest: FloatArray) -> Iterator[FloatArray]:
    """Digits of numbers below `BASE`, without a last one that is 0 for all of them."""
    for _ in range(DIGITS):
        digit = np.trunc(rest)
        yield digit
        rest = (rest - digit) * BASE
        if not rest.any():
            return


def _distinct(places: NDArray[np.integer]) -> list[int]:
    """The different ones; there are few, over a small range."""
    if not len(places):
        return []
    low = int(places.min())
    return [low + int(i) for i in np.flatnonzero(np.bincount(places - low))]


def finest_place(places: Iterator[int]) -> int:
    """The lowest of some places, at most 0: what all numbers are whole multiples of."""
    return min((0, *places))


def assembled(columns: Mapping[int, NDArray[np.int64]], rows: int, place: int) -> ExactArray:
    """Sums of digits by place as integers in units of ``BASE ** place``, shape ``(rows,)``."""
    total = np.zeros(rows, object)
    for own, digits in columns.items():
        total += digits.astype(object) * (1 << BITS * (own - place))
    return total


def bits(value: int, rows: int) -> int:
    """About the logarithm to base 2 of the mean of a sum over rows."""
    return value.bit_length() - rows.bit_length()


def rounded(values: ExactArray, power: int | NDArray[np.integer] = 0) -> FloatArray:
    """``values · 2^power``, each rounded once."""
    whole, powers = np.broadcast_arrays(values, power)
    flat = [_shifted(int(v), int(p)) for v, p in zip(whole.flat, powers.flat, strict=True)]
    return np.array(flat, np.float64).reshape(whole.shape)


def _shifted(value: int, power: int) -> float:
    # Python divides integers of any size with one rounding.
    return float(value << power) if power >= 0 else value / (1 << -power)


def weights_of(table: ExactArray) -> FloatArray:
    """Weights of cells relative to the mean weight; rows where there are no weights.

    Parameters
    ----------
    table : ndarray, shape (groups, ..., 1 or 3)
        Rows, and with weights Σw and Σw²: see `evaluation.audit.tally.Tally.grouped`.

    Returns
    -------
    ndarray of float64, shape (groups, ...)
    """
    if table.shape[-1] == 1:
        return np.asarray(table[..., 0], np.float64)
    return rounded(table[..., 1], -_powers(table))


def weight_moments(table: ExactArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Σw, Σw², and the standard deviation of w, of each cell of a table with weights.

    In the unit of `weights_of`, and its square.
    """
    rows, total, squares = (table[..., i] for i in range(3))
    powers = _powers(table)
    # Of integers: weights that hardly differ leave nothing of the difference in floating point.
    variance = rounded(rows * squares - total * total, -2 * powers)
    deviation = np.sqrt(variance) / np.maximum(rows.astype(np.float64), 1)
    return rounded(total, -powers), rounded(squares, -2 * powers), deviation


def _powers(table: ExactArray) -> NDArray[np.int64]:
    """Powers of two by which to divide weights, one for each group, so that none gets lost.

    They bring the mean weight of all rows near 1. Only groups that weigh nothing beside the others
    are lifted, to `FAINT`: their own rates and intervals then come out as they are, and what they
    add to everyone's is still nothing.
    """
    groups = table[..., :2].sum(axis=tuple(range(1, table.ndim - 1)))
    sums = [(int(rows), int(weight)) for rows, weight in groups]
    mean = bits(sum(weight for _, weight in sums), sum(rows for rows, _ in sums))
    own = [min(mean, bits(weight, rows) + FAINT) if weight else mean for rows, weight in sums]
    return np.array(own, np.int64).reshape(-1, *[1] * (table.ndim - 2))
