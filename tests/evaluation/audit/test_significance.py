"""Corrections of p-values, and what can be detected."""

import math
from typing import Any

import numpy as np
import pytest

from evaluation.audit.families import corrected
from evaluation.audit.findings import detectable_gap
from evaluation.audit.measured import Cells, make_cells, measure
from evaluation.audit.metrics import BY_GROUP
from evaluation.audit.null import judged, permuted_tables


def cells_of(table: Any) -> Cells:
    array = np.array(table)[..., None]
    rng = np.random.default_rng(0)
    return make_cells(array, np.ones(len(array), bool), replicates=0, rng=rng)


def test_corrections_by_hand() -> None:
    holm, rate = corrected([0.01, math.nan, 0.04, 0.03])
    assert holm[0] == pytest.approx(0.03)
    assert (holm[2], holm[3]) == pytest.approx((0.06, 0.06))
    assert (rate[0], rate[2], rate[3]) == pytest.approx((0.03, 0.04, 0.04))
    assert math.isnan(holm[1])
    assert math.isnan(rate[1])
    assert corrected([]) == ([], [])


def test_a_gap_of_the_detectable_size_is_found_as_often_as_said() -> None:
    n, p = 200, 0.5
    table = np.array([[[0, 0], [n // 2, n // 2]]] * 2)
    part = measure(BY_GROUP["accuracy"], cells_of(table), 0.95, (0,))
    gap = detectable_gap(part, (0, 1), 0, 0.95, 0.8)
    assert gap == pytest.approx((1.96 + 0.8416) * math.sqrt(2 * 0.25 / n), abs=1e-3)
    rng = np.random.default_rng(0)
    found = []
    for hits in rng.binomial(n, [p - gap / 2, p + gap / 2], size=(500, 2)):
        drawn = permuted_tables(np.stack([n - hits, hits], axis=1), 499, rng)[..., 1] / n
        found.append(judged(np.ptp(drawn, axis=1), float(np.ptp(hits / n)), 0.95)[1] <= 0.05)
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def test_rates_of_1_do_not_make_everything_detectable() -> None:
    part = measure(BY_GROUP["accuracy"], cells_of([[[20, 0], [0, 20]]] * 2), 0.95, (0,))
    assert 0.05 < detectable_gap(part, (0, 1), 0, 0.95, 0.8) < 0.2
