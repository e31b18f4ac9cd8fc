"""What the tables of several benchmarks have in common."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def mean_sd(values: Sequence[float], digits: int = 1) -> str:
    """Mean ± sample standard deviation (n - 1); the mean alone where there is one value."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean
