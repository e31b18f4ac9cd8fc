"""Differential privacy of what a client releases: noise of the Gaussian mechanism, composition.

The noise is calibrated by the analytic Gaussian mechanism (Balle & Wang 2018, arXiv 1805.06530,
theorem 8), which is exact: it holds for every ε > 0 and no smaller noise gives the same (ε, δ).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from semantic.errors import InputError

SLACK = 1e-9
"""Relative excess of the noise over the computed root, so that rounding never breaks δ."""


@dataclass(frozen=True)
class Guarantee:
    """(ε, δ)-differential privacy with respect to adding or removing one example.

    Attributes
    ----------
    epsilon
        Bound on the privacy loss, above 0; 0 for nothing released.
    delta
        Probability that the bound does not hold, below 1.
    """

    epsilon: float = 0.0
    delta: float = 0.0

    def __add__(self, other: Guarantee) -> Guarantee:
        """Of two releases from the same examples: basic composition, ε and δ add.

        Data-independent and valid for any two releases; a Gaussian-specific accountant would state
        less after many releases (Dwork & Roth 2014, theorem 3.16).
        """
        return Guarantee(self.epsilon + other.epsilon, self.delta + other.delta)

    def __or__(self, other: Guarantee) -> Guarantee:
        """Of two releases from disjoint examples, as of two clients: the larger ε and δ."""
        return Guarantee(max(self.epsilon, other.epsilon), max(self.delta, other.delta))


def gaussian_delta(epsilon: float, sigma: float, sensitivity: float) -> float:
    """Least δ for which Gaussian noise gives (ε, δ)-differential privacy, ε at least 0.

    ``Φ(Δ/2σ − εσ/Δ) − exp(ε)·Φ(−Δ/2σ − εσ/Δ)``, where σ is the standard deviation of the noise on
    every coordinate, and Δ, the sensitivity, the most that one example changes the released vector,
    in L2 norm.
    """
    from scipy.special import log_ndtr

    ratio = sigma / sensitivity
    first = float(log_ndtr(0.5 / ratio - epsilon * ratio))
    second = epsilon + float(log_ndtr(-0.5 / ratio - epsilon * ratio))
    # The second term is the smaller one; far out, rounding says otherwise.
    return math.exp(first) * -math.expm1(min(0.0, second - first))


def gaussian_sigma(epsilon: float, delta: float, sensitivity: float) -> float:
    """Least noise on every coordinate for which the Gaussian mechanism is (ε, δ)-private.

    ε is above 0 and finite, δ between 0 and 1, well below one over the number of examples. The
    sensitivity is the most that one example, added or removed, changes the released vector, in L2
    norm.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    _check(epsilon, delta, sensitivity)
    # With ε = 0 the root is known, and every ε > 0 needs less.
    high = math.log(0.5 / float(ndtri((1 + delta) / 2))) + SLACK
    low = high - 1
    while gaussian_delta(epsilon, math.exp(low), 1.0) <= delta:
        low -= 1
    root = brentq(
        lambda x: gaussian_delta(epsilon, math.exp(x), 1.0) - delta, low, high, xtol=SLACK / 100
    )
    return sensitivity * math.exp(root) * (1 + SLACK)


def _check(epsilon: float, delta: float, sensitivity: float) -> None:
    bounds = (("epsilon", epsilon, math.inf), ("delta", delta, 1.0),
              ("sensitivity", sensitivity, math.inf))  # fmt: skip
    for name, value, end in bounds:
        if not 0 < value < end:
            raise InputError(
                f"{name} = {value} of a private release must lie above 0 and below {end}; "
                "a usual choice is epsilon 1 to 8 and delta below 1 / number of examples"
            )
