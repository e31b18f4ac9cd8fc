"""Corrections of p-values for many tests, and what a test can detect.

The p-values are those of `evaluation.audit.null`.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from evaluation.audit.measured import Measured
from evaluation.audit.metrics import jaccard_of_f1
from evaluation.rates import ratio_or_nan


def corrected(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """p-values by Holm (1979) and by Benjamini & Hochberg (1995), in the order given.

    NaN stays NaN and does not count as a test.
    """
    p = np.asarray(values, np.float64)
    holm, rate = np.full(p.shape, np.nan), np.full(p.shape, np.nan)
    use = np.flatnonzero(~np.isnan(p))
    if use.size:
        order = use[np.argsort(p[use], kind="stable")]
        steps = p[order] * np.arange(use.size, 0, -1)
        holm[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
        # As SciPy has it; but to import its statistics takes longer than most audits.
        steps = p[order] * (use.size / np.arange(1, use.size + 1))
        rate[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return [float(v) for v in holm], [float(v) for v in rate]


def detectable_gap(
    part: Measured, ends: tuple[int, int], column: int, level: float, power: float
) -> float:
    """Difference between two groups that is found with some power (normal approximation).

    ``(z_{1-α/2} + z_power) sqrt(v₁ + v₂)``, for a proportion with ``v = p(1-p)/n`` at the overall
    p (for F1 that of its Jaccard index, times its slope there); otherwise with standard errors.

    Parameters
    ----------
    part : Measured
        The metric.
    ends : (int, int)
        Rows of the two groups.
    column : int
        The class.
    level, power
        One less the error of the first kind; and the power.
    """
    normal = NormalDist()
    reach = normal.inv_cdf(0.5 + level / 2) + normal.inv_cdf(power)
    if part.size is None:
        variance = part.spread[list(ends), column] ** 2
    else:
        value = part.overall[column]
        p, slope = (jaccard_of_f1(value), (2 - value) ** 2 / 2) if part.jaccard else (value, 1.0)
        # A rate of 0 or 1 among all rows is not certain to be that of others.
        n = float(part.size[:, column].sum())
        p = (n * p + 1) / (n + 2)
        variance = ratio_or_nan(np.full(2, slope**2 * p * (1 - p)), part.size[list(ends), column])
    return float(np.minimum(part.top, reach * np.sqrt(variance.sum())))
