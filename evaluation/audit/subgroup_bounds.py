"""How surely some rows are served worse than others: bounds of a difference, from sums of rows.

A search looks far into the tail: with thousands of comparisons each bound must hold at 99.999 %.
There Wilson's limits, and Newcombe's interval made of them, are too short for rates near 0, and
they would report what is not there. So the limits of each rate are the exact ones here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.sparse import IntArray
from evaluation.rates import FloatArray, ratio_or_nan

SumArray = NDArray[np.int64] | NDArray[np.float64]
"""Sums that a judge reads: of rows int64, of errors float64."""


@dataclass(frozen=True, eq=False)
class RateJudge:
    """Rates of failure, by exact limits: `M` metrics, lower is better, of `K` sums of rows.

    The limits of a rate are Clopper & Pearson's (1934, doi:10.1093/biomet/26.4.404); they join to
    the bound of a difference as Newcombe's hybrid score interval does (1998, method 10,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I), with Wilson's limits
    replaced. Enumerated for 20 to 400 rows a side, rates of 0.5 to 97 % and `alpha` of 5e-2 to
    1e-5, the bound of a difference of 0 was above 0 in at most `alpha` of the cases.
    """

    metrics: tuple[str, ...]
    denominators: IntArray  # ``(K, M)``: which sums make the rows that a metric rests on
    numerators: IntArray  # and which its failures
    how: str = "exact"

    def trials(self, sums: SumArray) -> FloatArray:
        """Rows that each metric rests on, ``(..., K)`` to ``(..., M)``; 0 where noise left less."""
        return np.asarray(np.maximum(sums @ self.denominators, 0), np.float64)

    def failures(self, sums: SumArray) -> FloatArray:
        """Rows that failed, ``(..., K)`` to ``(..., M)``."""
        return np.asarray(np.clip(sums @ self.numerators, 0, self.trials(sums)), np.float64)

    def limits(self, sums: SumArray, alpha: float) -> tuple[FloatArray, FloatArray]:
        """One-sided Clopper–Pearson limits, each missed at most `alpha` of times.

        They are 0 and 1 without rows.
        """
        n, x = self.trials(sums), self.failures(sums)
        return _lower(x, n, alpha), _upper(x, n, alpha)

    def shortfall(self, own: SumArray, other: SumArray, alpha: float) -> FloatArray:
        """Lower confidence bound of how much worse `own` rows are than `other` rows, ``(..., M)``.

        It is ``d − √((p₁ − l₁)² + (u₂ − p₂)²)`` with the limits of both rates; NaN where either has
        no rows that the metric rests on.
        """
        n, m = self.trials(own), self.trials(other)
        x, y = self.failures(own), self.failures(other)
        p, q = ratio_or_nan(x, n), ratio_or_nan(y, m)
        spread = np.hypot(p - _lower(x, n, alpha), _upper(y, m, alpha) - q)
        return np.asarray(p - q - spread, np.float64)


@dataclass(frozen=True, eq=False)
class ErrorJudge:
    """Mean absolute error, by Welch's approximation to normal means (1947, doi:10.2307/2332510).

    The methods are those of `RateJudge`.

    Sums are rows, ``Σd`` and ``Σd²`` of the distances ``d = |e| / unit − centre``, all in float64:
    around their centre, and in units of their size, squares of errors that hardly vary keep their
    digits. Student's t instead of the normal quantile allows for the estimated variance of few
    rows. Skewed errors leave it approximate.
    """

    unit: float
    centre: float
    metrics: tuple[str, ...] = ("mean_absolute_error",)
    how: str = "normal"

    def trials(self, sums: SumArray) -> FloatArray:
        """Rows."""
        return np.asarray(sums[..., :1], np.float64)

    def failures(self, sums: SumArray) -> FloatArray:
        """Sum of the absolute errors."""
        return np.asarray((sums[..., 1:2] + self.centre * sums[..., :1]) * self.unit)

    def limits(self, sums: SumArray, alpha: float) -> tuple[FloatArray, FloatArray]:
        """Mean and t times its standard error; NaN with fewer than two rows."""
        from scipy.special import stdtrit

        mean, square = self._mean(sums) + self.centre, self._square(sums)
        half = stdtrit(self.trials(sums) - 1, 1 - alpha) * np.sqrt(square)
        return np.maximum(mean - half, 0) * self.unit, (mean + half) * self.unit

    def shortfall(self, own: SumArray, other: SumArray, alpha: float) -> FloatArray:
        """Difference of the means less t times its standard error."""
        from scipy.special import stdtrit

        a, b = self._square(own), self._square(other)
        # Welch–Satterthwaite; without any spread the difference is what it is.
        parts = ratio_or_nan(a**2, self.trials(own) - 1) + ratio_or_nan(
            b**2, self.trials(other) - 1
        )
        freedom = ratio_or_nan((a + b) ** 2, parts)
        half = np.where(parts > 0, stdtrit(freedom, 1 - alpha) * np.sqrt(a + b), 0 * parts)
        return np.asarray((self._mean(own) - self._mean(other) - half) * self.unit, np.float64)

    def _mean(self, sums: SumArray) -> FloatArray:
        """Mean distance from the centre."""
        return ratio_or_nan(np.asarray(sums[..., 1:2], np.float64), self.trials(sums))

    def _square(self, sums: SumArray) -> FloatArray:
        """Squared standard error of the mean."""
        n = self.trials(sums)
        squares = ratio_or_nan(np.asarray(sums[..., 2:3], np.float64), n)
        spread = np.maximum(squares - self._mean(sums) ** 2, 0)
        return ratio_or_nan(spread, n - 1)


Judge = RateJudge | ErrorJudge
"""What a search judges rows by."""


def error_rates(classes: int) -> RateJudge:
    """Error rate; of two classes also the rates of missed positives and of false alarms.

    Sums are ``(rows, errors)``, of two classes ``(negatives, false alarms, positives, missed)``.
    """
    if classes != 2:
        one, other = np.array([[1], [0]]), np.array([[0], [1]])
        return RateJudge(("error_rate",), one, other)
    negatives, alarms, positives, missed = np.eye(4, dtype=np.int64)
    return RateJudge(
        ("error_rate", "false_negative_rate", "false_positive_rate"),
        np.stack([negatives + positives, positives, negatives], axis=1),
        np.stack([alarms + missed, missed, alarms], axis=1),
    )


def _lower(x: FloatArray, n: FloatArray, alpha: float) -> FloatArray:
    """Rate of which `x` of `n` or more failures have probability `alpha`; 0 without failures."""
    from scipy.special import betaincinv

    # 1 stands in where the parameter would be 0, here and below.
    return np.where(x > 0, betaincinv(np.where(x > 0, x, 1), n - x + 1, alpha), 0.0)


def _upper(x: FloatArray, n: FloatArray, alpha: float) -> FloatArray:
    """Rate of which `x` of `n` or fewer failures have probability `alpha`; 1 if all failed."""
    from scipy.special import betainccinv

    return np.where(x < n, betainccinv(x + 1, np.where(x < n, n - x, 1), alpha), 1.0)
