"""Sums of floating-point numbers without rounding, whatever their size and order.

Digit by digit: a float is at most three digits in base 2³⁰, the square of one six. Digits of one
place are added as integers, so that neither the order of rows nor their split over files and sites
matters (a superaccumulator; Neal 2015, arXiv:1505.05571). What becomes of them is one integer of
unlimited size for each sum, in units of a power of two that the rows themselves need; it is rounded
once, when a number is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

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
Sum = Literal["plain", "absolute", "squared"]
"""What of the numbers is summed."""


@dataclass(frozen=True, eq=False)
class Block:
    """Numbers of about one size in base 2³⁰: the sum of ``digits[k] · BASE^(first − k)``."""

    rows: Rows  # which of all rows they are
    first: int  # place of the first digit
    digits: tuple[FloatArray, ...]  # whole, below `BASE`, of the sign of the number

    def summed(self, kind: Sum) -> Block:
        """Numbers as they are, without their signs, or squared (by long multiplication).

        So nothing overflows, and nothing is too small.
        """
        if kind == "plain":
            return self
        if kind == "absolute":
            return Block(self.rows, self.first, tuple(np.abs(own) for own in self.digits))
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


def digits_of(values: FloatArray) -> list[Block]:
    """Numbers, all finite, as digits: a block for each place that a first digit has."""
    mantissa, exponent = np.frexp(values)
    first = (exponent - 1) // BITS
    low = int(first.min(initial=0))
    blocks = []
    for place in np.flatnonzero(np.bincount(first - low)) + low:
        rows = np.flatnonzero(first == place)
        own = rows if len(rows) < len(values) else slice(None)
        rest = np.ldexp(mantissa[own], exponent[own] - BITS * place)
        blocks.append(Block(own, int(place), tuple(_digits(rest))))
    return blocks


def _digits(rest: FloatArray) -> Iterator[FloatArray]:
    """Digits of numbers below `BASE`, without a last one that is 0 for all of them."""
    for _ in range(DIGITS):
        digit = np.trunc(rest)
        yield digit
        rest = (rest - digit) * BASE
        if not rest.any():
            return


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


def relative_weights(values: ExactArray, group: NDArray[np.integer]) -> FloatArray:
    """Weights of cells relative to the mean weight; rows where there are no weights.

    `values`, ``(m, 1 or more)``, are rows, and with weights Σw; `group`, ``(m,)``, says from 0 to
    which group each cell belongs.
    """
    if values.shape[1] == 1:
        return values[:, 0].astype(np.float64)
    return rounded(values[:, 1], -_powers(values, group))


def weights_of(table: ExactArray) -> FloatArray:
    """The same of a full table, shape ``(groups, ..., k)`` to ``(groups, ...)``."""
    return relative_weights(*_flat(table)).reshape(table.shape[:-1])


def weight_moments(table: ExactArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Σw, Σw², and the standard deviation of w, of each cell of a table with weights.

    In the unit of `weights_of`, and its square.
    """
    values, group = _flat(table)
    powers = _powers(values, group)
    rows, total, squares = values.T
    # Of integers: weights that hardly differ leave nothing of the difference in floating point.
    variance = rounded(rows * squares - total * total, -2 * powers)
    deviation = np.sqrt(variance) / np.maximum(rows.astype(np.float64), 1)
    found = rounded(total, -powers), rounded(squares, -2 * powers), deviation
    total, squares, deviation = (own.reshape(table.shape[:-1]) for own in found)
    return total, squares, deviation


def _flat(table: ExactArray) -> tuple[ExactArray, NDArray[np.integer]]:
    """Cells of a table below each other, and the group of each."""
    cells = prod(table.shape[1:-1])
    return table.reshape(-1, table.shape[-1]), np.repeat(np.arange(len(table)), cells)


def _powers(values: ExactArray, group: NDArray[np.integer]) -> NDArray[np.int64]:
    """Powers of two by which to divide weights, so that none gets lost; alike within a group.

    They bring the mean weight of all rows near 1. Only groups that weigh nothing beside the others
    are lifted, to `FAINT`: their own rates and intervals then come out as they are, and what they
    add to everyone's is still nothing.
    """
    sums = np.zeros((int(group.max(initial=-1)) + 1, 2), object)
    np.add.at(sums, group, values[:, :2])
    rows, weight = (int(own) for own in sums.sum(axis=0))
    mean = bits(weight, rows)
    own = [min(mean, bits(weight, rows) + FAINT) if weight else mean for rows, weight in sums]
    return np.asarray(np.array(own, np.int64)[group])
