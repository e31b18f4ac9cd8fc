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

from evaluation.audit.sparse import ExactArray, IntArray
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


@dataclass(frozen=True, eq=False)
class Digits:
    """Numbers in base 2³⁰: the sum of ``digits[k] · BASE^(first − k)``.

    Parameters
    ----------
    first : ndarray of int, shape (n,)
        Place of each number's first digit.
    digits : tuple of ndarray of float64, each of shape (n,)
        Whole, below `BASE`, of the sign of the number.
    """

    first: NDArray[np.integer]
    digits: tuple[FloatArray, ...]

    def places(self) -> Iterator[tuple[int, NDArray[np.bool_] | slice, FloatArray]]:
        """Place, rows, and those rows' digits there, as far as any is not 0."""
        if not len(self.first):
            return
        low, high = int(self.first.min()), int(self.first.max())
        for first in range(low, high + 1):
            rows = slice(None) if low == high else self.first == first
            for k, digits in enumerate(self.digits):
                own = digits[rows]
                if own.any():
                    yield first - k, rows, own

    def absolute(self) -> Digits:
        """Without the signs."""
        return Digits(self.first, tuple(np.abs(own) for own in self.digits))

    def squared(self) -> Digits:
        """Squares, by long multiplication: nothing overflows, and nothing is too small."""
        own = [np.abs(digits).astype(np.int64) for digits in self.digits]
        n = len(own)
        found: list[FloatArray] = []
        carry = np.zeros(len(self.first), np.int64)
        for k in reversed(range(2 * n - 1)):
            # At most three products of 60 bits, and the carry.
            for i in range(max(0, k - n + 1), min(k, n - 1) + 1):
                carry += own[i] * own[k - i]
            found.append((carry & (BASE - 1)).astype(np.float64))
            carry >>= BITS
        found.append(carry.astype(np.float64))
        return Digits(2 * self.first + 1, tuple(found[::-1]))


def digits_of(values: FloatArray) -> Digits:
    """Numbers, all finite, as digits; without a last one that is 0 for all of them."""
    mantissa, exponent = np.frexp(values)
    first = (exponent - 1) // BITS
    rest = np.ldexp(mantissa, exponent - BITS * first)
    found = []
    for _ in range(DIGITS):
        digit = np.trunc(rest)
        found.append(digit)
        rest = (rest - digit) * BASE
        if not rest.any():
            break
    return Digits(first, tuple(found))


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


def weights_by(values: ExactArray, group: IntArray) -> FloatArray:
    """Weights of cells that stand one by one, as `weights_of`.

    Parameters
    ----------
    values : ndarray, shape (m, 1 or 3)
        Rows, and with weights Σw and Σw², of each cell.
    group : ndarray of int64, shape (m,)
        Group of each cell, from 0.

    Returns
    -------
    ndarray of float64, shape (m,)
    """
    if values.shape[-1] == 1:
        return np.asarray(values[:, 0], np.float64)
    totals = np.zeros((int(group.max(initial=-1)) + 1, values.shape[-1]), object)
    np.add.at(totals, group, values)
    return rounded(values[:, 1], -_powers(totals)[group])


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
    groups = table.reshape(len(table), -1, table.shape[-1])[..., :2].sum(axis=1)
    sums = [(int(rows), int(weight)) for rows, weight in groups]
    mean = bits(sum(weight for _, weight in sums), sum(rows for rows, _ in sums))
    own = [min(mean, bits(weight, rows) + FAINT) if weight else mean for rows, weight in sums]
    return np.array(own, np.int64).reshape(-1, *[1] * (table.ndim - 2))
