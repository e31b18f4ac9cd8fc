"""Numbers as integers modulo 2⁶⁴, so that sums are exact and masks hide them perfectly.

Floating-point numbers are rounded to multiples of 2⁻⁴⁰: each summand is off by 2⁻⁴¹ (4.5e-13) at
most, and a sum of K by K times that. Integers are exact. Nothing overflows as long as no entry of
the sum reaches `BOUND`, which every site sees to with its own share of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

FRACTION = 40
"""Binary digits behind the point."""
BOUND = 2.0 ** (63 - FRACTION)
"""What no entry of a sum may reach: 8,388,608."""

TOO_LARGE = (
    "array '{name}' has an entry of {largest:.4g}, and each of {sites} sites may give less than "
    "{most:.4g}: the training has diverged, or the weights are of another scale"
)
NOT_FINITE = "array '{name}' has values that are not finite: the training has diverged"


def to_words(
    arrays: Mapping[str, NDArray[Any]], weight: float | None, sites: int
) -> dict[str, Words]:
    """One site's summands.

    Parameters
    ----------
    arrays
        Of any shapes, real.
    weight
        What all are multiplied by; None to take them as they are, integers exactly.
    sites
        How many give a summand.

    Raises
    ------
    ValueError
        If an entry is not finite, or so large that the sum could overflow.
    """
    words = {}
    for name, array in arrays.items():
        whole = weight is None and not np.issubdtype(array.dtype, np.inexact)
        most = (2.0**63 if whole else BOUND) / sites
        scaled = array.astype(np.float64) * (1.0 if weight is None else weight)
        if not np.isfinite(scaled).all():
            raise ValueError(NOT_FINITE.format(name=name))
        largest = float(np.abs(scaled).max(initial=0.0))
        if largest >= most:
            raise ValueError(TOO_LARGE.format(name=name, largest=largest, sites=sites, most=most))
        exact = array.astype(np.int64) if whole else np.rint(np.ldexp(scaled, FRACTION))
        words[name] = np.asarray(exact, np.int64).view(np.uint64)
    return words


def from_words(words: Mapping[str, Words], whole: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A sum without its masks, as float64; as int64 for the names in `whole`."""
    signed = {name: value.view(np.int64) for name, value in words.items()}
    return {
        name: value if name in whole else np.ldexp(value.astype(np.float64), -FRACTION)
        for name, value in signed.items()
    }
