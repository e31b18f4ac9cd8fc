"""Exact integer noise: discrete Laplace and discrete Gaussian.

Canonne, Kamath & Steinke 2020 (The Discrete Gaussian for Differential Privacy, NeurIPS, arXiv
2004.00010), algorithms 1 to 3. Every random decision compares whole numbers, so no rounding of
floating-point numbers opens the gap of Mironov 2012 in the guarantee.
"""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

from evaluation.errors import InputError

STEPS = 1024
"""Variances of Gaussian noise are rounded up to whole multiples of one over this."""


def bernoulli_exp(gamma: Fraction, source: Random) -> bool:
    """True with probability ``exp(-gamma)``, for `gamma` >= 0 (algorithm 1)."""
    while gamma > 1:
        if not _bernoulli_exp_unit(1, 1, source):
            return False
        gamma -= 1
    return _bernoulli_exp_unit(gamma.numerator, gamma.denominator, source)


def _bernoulli_exp_unit(top: int, bottom: int, source: Random) -> bool:
    """True with probability ``exp(-top/bottom)``, for a ratio in 0 to 1."""
    k = 1
    while source.randrange(bottom * k) < top:
        k += 1
    return k % 2 == 1


def discrete_laplace(scale: Fraction, source: Random) -> int:
    """An integer `x` with probability proportional to ``exp(-|x| / scale)`` (algorithm 2).

    `source` is `random.SystemRandom` for a release; a seeded one for tests alone.
    """
    t, s = scale.numerator, scale.denominator
    while True:
        u = source.randrange(t)
        if not _bernoulli_exp_unit(u, t, source):
            continue
        v = 0
        while _bernoulli_exp_unit(1, 1, source):
            v += 1
        magnitude = (u + t * v) // s
        negative = source.randrange(2) == 1
        if not (negative and magnitude == 0):  # else 0 would come twice as often
            return -magnitude if negative else magnitude


def discrete_gaussian(variance: Fraction, source: Random) -> int:
    """An integer `x` with probability proportional to ``exp(-x² / (2 variance))`` (algorithm 3)."""
    scale = Fraction(math.isqrt(math.floor(variance)) + 1)
    while True:
        proposed = discrete_laplace(scale, source)
        distance = abs(proposed) - variance / scale
        if bernoulli_exp(distance * distance / (2 * variance), source):
            return proposed


def laplace_scale(epsilon: float, touched: int) -> Fraction:
    """Scale of the noise for ε-differential privacy: ``touched / epsilon``, exactly.

    ε is the decimal number that it is written as; a row changes `touched` cells, each by 1 (the L1
    sensitivity).
    """
    check_budget(epsilon, 0.5)
    return touched / Fraction(repr(float(epsilon)))


def laplace_variance(scale: Fraction) -> float:
    """Variance of discrete Laplace noise: ``2 p / (1 - p)²`` with ``p = exp(-1 / scale)``."""
    inverse = float(1 / scale)
    return 2 * math.exp(-inverse) / math.expm1(-inverse) ** 2


def gaussian_variance(epsilon: float, delta: float, touched: int) -> Fraction:
    """Variance of the noise for (ε, δ)-differential privacy, rounded up to ``1 / STEPS``.

    By concentrated differential privacy (paper, theorem 14 and corollary 13): noise on cells of
    which a row changes `touched` by 1 has ``rho = touched / (2 variance)``, and that implies
    ``delta = exp((a - 1)(a rho - epsilon)) / (a - 1) · (1 - 1/a)^a`` for every ``a > 1``.
    """
    from scipy.optimize import brentq

    check_budget(epsilon, delta)

    def excess(log_rho: float) -> float:
        return _log_delta(math.exp(log_rho), epsilon) - math.log(delta)

    low = high = math.log(epsilon)
    while excess(low) > 0:
        low -= 1
    while excess(high) < 0:
        high += 1
    # `low` errs on the side of more noise, and rounding goes the same way.
    root = float(brentq(excess, low, high, xtol=1e-12)) - 1e-9
    return Fraction(math.ceil(STEPS * touched / (2 * math.exp(root))), STEPS)


def _log_delta(rho: float, epsilon: float) -> float:
    """Least ``log δ`` that rho-zCDP implies at ε, over the order ``a``."""
    from scipy.optimize import minimize_scalar

    def bound(log_excess: float) -> float:
        over = math.exp(log_excess)  # a - 1
        a = 1 + over
        return over * (a * rho - epsilon) - log_excess + a * math.log1p(-1 / a)

    # Any order gives a valid bound; the search only makes it small.
    found = minimize_scalar(bound, bounds=(-12.0, 12.0), method="bounded")
    return float(found.fun)


def check_budget(epsilon: float, delta: float) -> None:
    """Refuse ε and δ that make no guarantee."""
    if not 0 < epsilon < math.inf:
        raise InputError(f"epsilon = {epsilon}: expected a finite number above 0, such as 1")
    if not 0 < delta < 1:
        raise InputError(
            f"delta = {delta}: expected a number between 0 and 1, far below 1 / rows; leave it "
            "out for discrete Laplace noise"
        )
