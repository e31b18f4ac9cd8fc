"""Which tests belong together: those that the gate names, stated before, and the others.

Each gap is judged by its own test, so that no finding is diluted by what else is audited. What many
tests do to p-values stands beside: by Holm (1979) within the tests that the gate looks at, and by
Benjamini & Hochberg (1995) within the plain differences of the other metrics. A complement (error
rate for accuracy) shares a test, ratios and other forms of a gap are no further ones, and the base
rate is in the data: no test of the model.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from math import isnan
from typing import TypeVar

import numpy as np

from evaluation.audit.metrics import COMPLEMENTS
from evaluation.audit.outcome import NAN, Comparison, Gap, ScoreComparison

AnyComparison = TypeVar("AnyComparison", bound=Comparison | ScoreComparison)

Test = tuple[int, str, str, str, bool]


def in_families(
    comparisons: Sequence[AnyComparison], named: Collection[tuple[int, str]] = ()
) -> tuple[AnyComparison, ...]:
    """Put the corrected p-values beside those of every gap of one audit.

    `named` are the gaps that a gate looks at: place of the comparison, and name.
    """
    gate: dict[Test, float] = {}
    rest: dict[Test, float] = {}
    tests = [(i, _test(i, gap), gap) for i, own in enumerate(comparisons) for gap in own.gaps]
    for i, test, gap in tests:
        if (i, gap.name) in named:
            gate.setdefault(test, gap.p)
    for _, test, gap in tests:
        if gap.plain and gap.metric != "base_rate" and test not in gate:
            rest.setdefault(test, gap.p)
    holm = dict(zip(gate, corrected(list(gate.values()))[0], strict=True))
    rate = dict(zip(rest, corrected(list(rest.values()))[1], strict=True))

    def beside(i: int, gap: Gap) -> Gap:
        test = _test(i, gap)
        return replace(gap, p_holm=_one_nan(holm.get(test)), p_bh=_one_nan(rate.get(test)))

    return tuple(
        replace(own, gaps=tuple(beside(i, gap) for gap in own.gaps))
        for i, own in enumerate(comparisons)
    )


def _one_nan(p: float | None) -> float:
    """The same NaN for all that is missing: records are compared by identity of it."""
    return NAN if p is None or isnan(p) else p


def _test(comparison: int, gap: Gap) -> Test:
    """A difference and that of the complement are one test; their ratios are not."""
    own = COMPLEMENTS.get(gap.metric, gap.metric) if gap.kind == "difference" else gap.metric
    return comparison, own, gap.kind, gap.method, gap.name.count("_mean") > own.count("_mean")


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
