"""Tests of no difference, their correction, and what can be detected."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, fisher_exact, hypergeom, norm

from evaluation.audit.compare import compare_groups, corrected_gaps
from evaluation.audit.measured import Cells, make_cells, measure
from evaluation.audit.metrics import BY_GROUP, chosen
from evaluation.audit.options import AuditOptions
from evaluation.audit.significance import (
    corrected,
    detectable_gap,
    gap_test,
    heterogeneity,
    joint_test,
    permuted_tables,
    tables,
)
from tests.evaluation.audit.tallies import tally_of


def cells_of(table: Any, replicates: int = 0) -> Cells:
    array = np.array(table)[..., None]
    rng = np.random.default_rng(0)
    return make_cells(array, np.ones(len(array), bool), replicates=replicates, rng=rng)


LARGE = np.array([[[60, 20], [15, 45]], [[50, 30], [25, 35]], [[80, 20], [20, 80]]])
CONTINGENCY = {
    "accuracy": np.array([[105, 35], [85, 55], [160, 40]]),
    "selection_rate": LARGE.sum(axis=1),
    "base_rate": LARGE.sum(axis=2),
    "true_positive_rate": LARGE[:, 1],
    "false_positive_rate": LARGE[:, 0],
    "precision": LARGE[:, :, 1],
    "false_omission_rate": LARGE[:, :, 0],
}


@pytest.mark.parametrize("metric", list(CONTINGENCY))
def test_large_tables_have_the_chi_square_test(metric: str) -> None:
    expected = chi2_contingency(CONTINGENCY[metric], correction=False).pvalue
    assert gap_test(metric, cells_of(LARGE), None, (0,)) == pytest.approx(expected)


def test_equalized_odds_adds_both_rates() -> None:
    parts = [chi2_contingency(LARGE[:, c], correction=False) for c in (0, 1)]
    (joint,) = tables("equalized_odds", LARGE)
    assert [t.shape for t in joint] == [(3, 2), (3, 2)]
    from scipy.stats import chi2

    expected = chi2.sf(parts[0].statistic + parts[1].statistic, 4)
    assert gap_test("equalized_odds", cells_of(LARGE), None, (0,)) == pytest.approx(expected)


@pytest.mark.parametrize("table", [[[9, 1], [4, 6]], [[3, 7], [8, 30]], [[5, 0], [3, 3]]])
def test_small_tables_have_fishers_test(table: list[list[int]]) -> None:
    """Of two groups the two order tables alike nearly always; the draws err by 0.005."""
    value = joint_test([np.array(table, float)], np.random.default_rng(0))
    rows, columns = np.sum(table, axis=1), np.sum(table, axis=0)
    support = np.arange(max(0, columns[0] - rows[1]), min(rows[0], columns[0]) + 1)
    expected = rows[0] * columns[0] / rows.sum()
    far = np.abs(support - expected) >= abs(table[0][0] - expected) - 1e-9
    exact = hypergeom.pmf(support[far], rows.sum(), columns[0], rows[0]).sum()
    assert value == pytest.approx(exact, abs=0.015)
    assert value <= fisher_exact(table).pvalue + 0.2


@given(cells=st.lists(st.integers(0, 6), min_size=9, max_size=9))
@settings(max_examples=30, deadline=None)
def test_permutations_keep_the_margins(cells: list[int]) -> None:
    table = np.array(cells).reshape(3, 3)
    drawn = permuted_tables(table, 50, np.random.default_rng(0))
    assert (drawn >= 0).all()
    assert (drawn.sum(axis=1) == table.sum(axis=0)).all()
    assert (drawn.sum(axis=2) == table.sum(axis=1)).all()


def test_permutations_are_hypergeometric() -> None:
    table = np.array([[6, 4], [10, 20]])
    drawn = permuted_tables(table, 20_000, np.random.default_rng(0))[:, 0, 0]
    assert drawn.mean() == pytest.approx(4, abs=0.05)
    assert drawn.var() == pytest.approx(hypergeom.var(40, 16, 10), abs=0.1)


def test_p_values_are_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(1)
    values = [
        joint_test([rng.multinomial(60, [0.6, 0.4], size=3).astype(float)], rng) for _ in range(400)
    ]
    assert np.mean(np.array(values) < 0.05) == pytest.approx(0.05, abs=0.033)
    assert np.mean(np.array(values) < 0.5) == pytest.approx(0.5, abs=0.08)


def test_one_outcome_or_one_group_has_no_test() -> None:
    rng = np.random.default_rng(0)
    assert math.isnan(joint_test([np.array([[5.0, 0.0], [9.0, 0.0]])], rng))
    assert math.isnan(joint_test([np.array([[5.0, 3.0], [0.0, 0.0]])], rng))
    assert math.isnan(heterogeneity(np.array([[0.5], [np.nan]]), np.array([[0.1], [0.1]])))


def test_heterogeneity_of_two_is_the_normal_test() -> None:
    p = heterogeneity(np.array([[0.5], [0.8]]), np.array([[0.1], [0.1]]))
    assert p == pytest.approx(2 * norm.sf(0.3 / math.sqrt(0.02)))
    part = measure(chosen(("f1",))[0], cells_of(LARGE, 500), 0.95, (0,))
    assert 0 < gap_test("f1", cells_of(LARGE), part, (0,)) < 0.01


def test_corrections_by_hand() -> None:
    holm, rate = corrected([0.01, math.nan, 0.04, 0.03])
    assert holm[0] == pytest.approx(0.03)
    assert (holm[2], holm[3]) == pytest.approx((0.06, 0.06))
    assert (rate[0], rate[2], rate[3]) == pytest.approx((0.03, 0.04, 0.04))
    assert math.isnan(holm[1])
    assert math.isnan(rate[1])
    assert corrected([]) == ([], [])


def test_complements_and_ratios_are_one_test() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 2, (3, 400))
    tally = tally_of(rows[0], rows[1], {"g": rows[2]})
    options = AuditOptions(
        metrics=("accuracy", "zero_one_loss", "true_positive_rate", "false_negative_rate")
    )
    (found,) = compare_groups(tally, options)
    p = {gap.name: gap.p for gap in found.gaps}
    assert p["accuracy_difference"] == p["zero_one_loss_difference"] == p["accuracy_ratio"]
    assert p["equal_opportunity_difference"] == p["false_negative_rate_difference"]
    pair = sorted({gap.p for gap in found.gaps})
    least = next(gap for gap in found.gaps if gap.p == pair[0])
    assert least.p_holm == pytest.approx(min(1, 2 * pair[0]))
    (again,) = corrected_gaps([found])
    assert again == found


def test_a_gap_of_the_detectable_size_is_found_as_often_as_said() -> None:
    n, p = 200, 0.5
    table = np.array([[[0, 0], [n // 2, n // 2]]] * 2)
    part = measure(BY_GROUP["accuracy"], cells_of(table), 0.95, (0,))
    gap = detectable_gap(part, (0, 1), 0, 0.95, 0.8)
    assert gap == pytest.approx((1.96 + 0.8416) * math.sqrt(2 * 0.25 / n), abs=1e-3)
    rng = np.random.default_rng(0)
    right = rng.binomial(n, [p - gap / 2, p + gap / 2], size=(1000, 2))
    found = [joint_test([np.stack([r, n - r], axis=1).astype(float)], rng) < 0.05 for r in right]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)


def test_more_classes_join_what_shares_rows_by_bonferroni() -> None:
    counts = np.random.default_rng(0).integers(8, 30, (2, 3, 3))
    each = tables("false_positive_rate", counts)
    assert len(each) == 3
    rng = np.random.default_rng(0)
    expected = min(1.0, 3 * min(joint_test(joint, rng) for joint in each))
    assert gap_test("false_positive_rate", cells_of(counts), None, (0,)) == pytest.approx(expected)
    assert len(tables("true_positive_rate", counts)[0]) == 3
    assert tables("f1", counts) == []
