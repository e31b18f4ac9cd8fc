"""What chance alone makes: every metric's own null, its band, and its p-value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, fisher_exact, hypergeom, ks_1samp, ttest_ind, uniform

from evaluation.audit import null
from evaluation.audit.compare import compare_groups
from evaluation.audit.measured import Cells, make_cells
from evaluation.audit.metrics import BY_GROUP
from evaluation.audit.null import effective_tables, judged, permuted_tables
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Comparison, Gap
from tests.evaluation.audit.tallies import tally_of, tally_of_errors

RATES = [*BY_GROUP, "equalized_odds"]
OPTIONS = AuditOptions(replicates=0, min_group=1)


def compared(counts: Any, weight: Any = None, options: AuditOptions = OPTIONS) -> Comparison:
    """Compare groups given as ``(groups, true, predicted)`` counts."""
    counts = np.asarray(counts)
    group, true, predicted = (
        np.repeat(i.ravel(), counts.ravel()) for i in np.indices(counts.shape)
    )
    classes = counts.shape[-1]
    tally = tally_of(
        true, predicted, {"g": group}, classes=classes, weight=weight, levels=len(counts)
    )
    (found,) = compare_groups(tally, options)
    return found


def plain(found: Comparison) -> dict[str, Gap]:
    return {gap.metric: gap for gap in found.gaps if gap.plain}


def cells_of(counts: Any, weights: Any = None, squares: Any = None) -> Cells:
    parts = [counts] if weights is None else [counts, weights, squares]
    rng = np.random.default_rng(0)
    table = np.stack([np.asarray(part) for part in parts], axis=-1)
    return make_cells(table, np.ones(len(table), bool), replicates=0, rng=rng)


def test_base_rates_do_not_enter_the_chance_of_a_perfect_prediction() -> None:
    """80 of 100 against 20 of 100: the case ``perfect.csv``."""
    found = plain(compared([[[20, 0], [0, 80]], [[80, 0], [0, 20]]]))
    parity = found["selection_rate"]
    assert parity.estimate.value == pytest.approx(0.6)
    assert parity.chance == pytest.approx(0.14, abs=0.021)
    assert parity.p < 0.001
    for metric in set(found) - {"selection_rate", "base_rate"}:
        assert (found[metric].estimate.value, found[metric].chance) == (0, 0)
        assert found[metric].p == 1


DIFFERENT_BASES: dict[str, Any] = {
    # 40 % of positives and 10 % of negatives are selected in both groups, half and a tenth positive
    "equalized_odds": [[[90, 10], [60, 40]], [[162, 18], [12, 8]]],
    "precision": [[[90, 10], [10, 30]], [[30, 40], [10, 120]]],
    "false_omission_rate": [[[90, 10], [10, 30]], [[18, 40], [2, 120]]],
    "accuracy": [[[80, 20], [20, 80]], [[150, 32], [8, 10]]],
    "f1": [[[90, 10], [10, 20]], [[10, 30], [10, 40]]],
}


@pytest.mark.parametrize("metric", list(DIFFERENT_BASES))
def test_an_even_metric_is_even_whatever_the_base_rates(metric: str) -> None:
    gap = plain(compared(DIFFERENT_BASES[metric]))[metric]
    assert gap.estimate.value == pytest.approx(0, abs=1e-9)
    assert gap.p == 1


TWO = np.array([[[60, 20], [15, 45]], [[50, 30], [25, 35]]])
CONTINGENCY = {
    "accuracy": np.array([[105, 35], [85, 55]]),
    "selection_rate": TWO.sum(axis=1),
    "base_rate": TWO.sum(axis=2),
    "true_positive_rate": TWO[:, 1],
    "false_positive_rate": TWO[:, 0],
    "precision": TWO[:, :, 1],
    "false_omission_rate": TWO[:, :, 0],
    "f1": np.array([[45, 35], [35, 55]]),
}


@pytest.mark.parametrize("metric", list(CONTINGENCY))
def test_two_by_two_is_scipys_test(metric: str) -> None:
    table, p = CONTINGENCY[metric], plain(compared(TWO))[metric].p
    exact, square = fisher_exact(table).pvalue, chi2_contingency(table).pvalue
    assert p == pytest.approx(exact, abs=0.02 + 0.1 * exact)
    assert p == pytest.approx(square, abs=0.02 + 0.1 * square)


@pytest.mark.parametrize("table", [[[9, 1], [4, 6]], [[3, 7], [8, 30]], [[5, 1], [3, 3]]])
def test_a_small_table_has_the_exact_p_value(table: list[list[int]]) -> None:
    (low, high), rows = np.array(table), np.sum(table, axis=1)
    hits = int(low[1] + high[1])
    support = np.arange(max(0, hits - rows[1]), min(rows[0], hits) + 1)
    gaps = np.abs(support / rows[0] - (hits - support) / rows[1])
    far = gaps >= abs(low[1] / rows[0] - high[1] / rows[1]) - 1e-9
    exact = hypergeom.pmf(support[far], rows.sum(), hits, rows[0]).sum()
    counts = np.array(table)[:, None, :] * [[[0], [1]]]
    assert plain(compared(counts))["true_positive_rate"].p == pytest.approx(exact, abs=0.03)


def p_values(shape: Sequence[Any], seed: int, simulations: int) -> dict[str, list[float]]:
    """p-values of every metric over tables of groups that do not differ in anything."""
    rng = np.random.default_rng(seed)
    sizes, cells = shape
    found: dict[str, list[float]] = {}
    for _ in range(simulations):
        gaps = plain(compared([rng.multinomial(n, np.ravel(cells)).reshape(cells.shape)
                               for n in sizes]))  # fmt: skip
        for metric, gap in gaps.items():
            found.setdefault(metric, []).append(gap.p)
    return found


@pytest.mark.parametrize(
    "shape",
    [
        ((150, 400, 260), np.array([[0.42, 0.13], [0.15, 0.3]])),
        ((300, 210), np.array([[0.3, 0.05, 0.03], [0.06, 0.2, 0.04], [0.06, 0.04, 0.22]])),
    ],
    ids=["three groups", "three classes"],
)
def test_p_values_are_uniform_where_nothing_differs(
    shape: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(null, "DRAWS", 199)
    for metric, values in p_values(shape, 1, 120).items():
        assert ks_1samp(values, uniform.cdf).statistic < 0.15, metric  # 1.7 / sqrt(120)
        assert np.mean(np.array(values) <= 0.05) < 0.12, metric


def test_p_values_of_weighted_rows_are_uniform(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights go with the outcome, as those that make up for how cases were sampled do."""
    monkeypatch.setattr(null, "DRAWS", 199)
    rng, values = np.random.default_rng(0), []
    options = AuditOptions(replicates=0, metrics=("accuracy", "selection_rate"))
    for _ in range(150):
        group = np.repeat([0, 1], (150, 250))
        predicted = rng.integers(0, 2, 400)
        weight = np.where(predicted == 1, 4.0, 1.0) * rng.choice([0.5, 1.0], 400)
        tally = tally_of(rng.integers(0, 2, 400), predicted, {"g": group}, weight=weight)
        values.append(plain(compare_groups(tally, options)[0])["selection_rate"].p)
    assert ks_1samp(values, uniform.cdf).statistic < 0.14


def test_errors_of_a_regression_have_welchs_test() -> None:
    rng = np.random.default_rng(3)
    errors, group = rng.normal(np.repeat([0.0, 0.35], (60, 90)), 1), np.repeat([0, 1], (60, 90))
    (found,) = compare_groups(tally_of_errors(errors, group, 2), OPTIONS)
    expected = ttest_ind(errors[:60], errors[60:], equal_var=False).pvalue
    gap = found.gap("mean_error_difference")
    assert gap.p == pytest.approx(expected, abs=0.015)
    assert (gap.estimate.value > gap.chance) == (gap.p <= 0.05)


counts = st.lists(st.integers(0, 25), min_size=12, max_size=12)


@given(table=counts)
@settings(max_examples=25, deadline=None)
def test_rare_is_beyond_what_chance_makes(table: list[int]) -> None:
    for gap in compared(np.reshape(table, (3, 2, 2))).gaps:
        if not math.isnan(gap.chance):
            assert (gap.p <= 0.05 + 1e-12) == (gap.estimate.value > gap.chance + null.TIE)


@given(table=counts, order=st.permutations([0, 1, 2]))
@settings(max_examples=15, deadline=None)
def test_names_and_order_of_groups_change_nothing(table: list[int], order: list[int]) -> None:
    whole = np.reshape(table, (3, 2, 2))
    first, second = (compared(t) for t in (whole, whole[order]))
    for a, b in zip(first.gaps, second.gaps, strict=True):
        assert (a.chance, a.p) == pytest.approx((b.chance, b.p), nan_ok=True)


def test_a_verdict_does_not_depend_on_what_else_is_audited() -> None:
    rng = np.random.default_rng(0)
    true, sex, age, race = (rng.integers(0, k, 500) for k in (2, 2, 3, 4))
    predicted = np.where(rng.random(500) < 0.2 + 0.08 * sex, 1 - true, true)
    alone = compare_groups(
        tally_of(true, predicted, {"sex": sex}), AuditOptions(metrics=("accuracy", "f1"))
    )[0]
    columns = {"age": age, "sex": sex, "race": race}
    every = compare_groups(tally_of(true, predicted, columns), AuditOptions())
    (among,) = (one for one in every if one.by == ("sex",))
    for gap in alone.gaps:
        other = among.gap(gap.name)
        assert (other.p, other.estimate) == (gap.p, gap.estimate)
        assert other.chance == pytest.approx(gap.chance, nan_ok=True)


def test_complements_are_one_gap_with_one_interval() -> None:
    found = compared(TWO, options=AuditOptions(replicates=200))
    gaps, rates = plain(found), {metric.name: metric for metric in found.metrics}
    for other, own in {
        "zero_one_loss": "accuracy",
        "false_negative_rate": "true_positive_rate",
        "true_negative_rate": "false_positive_rate",
        "false_discovery_rate": "precision",
    }.items():
        a, b = gaps[own], gaps[other]
        assert (a.p, a.chance) == pytest.approx((b.p, b.chance))
        assert (a.estimate.low, a.estimate.high) == pytest.approx((b.estimate.low, b.estimate.high))
        for x, y in zip(rates[own].groups, rates[other].groups, strict=True):
            assert (x.low, x.high) == pytest.approx((1 - y.high, 1 - y.low))


@given(cells=st.lists(st.integers(0, 6), min_size=9, max_size=9))
@settings(max_examples=30, deadline=None)
def test_permutations_keep_the_margins(cells: list[int]) -> None:
    table = np.array(cells).reshape(3, 3)
    drawn = permuted_tables(table, 50, np.random.default_rng(0))
    assert (drawn >= 0).all()
    assert (drawn.sum(axis=1) == table.sum(axis=0)).all()
    assert (drawn.sum(axis=2) == table.sum(axis=1)).all()


@pytest.mark.parametrize("largest", [10**9, 1])
def test_permutations_are_hypergeometric(largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(null, "LARGEST", largest)  # from there the normal limit
    table = np.array([[60, 40], [100, 200]])
    drawn = permuted_tables(table, 20_000, np.random.default_rng(0))
    assert drawn[:, 0, 0].mean() == pytest.approx(40, abs=0.2)
    assert drawn[:, 0, 0].var() == pytest.approx(hypergeom.var(400, 160, 100), rel=0.05)
    assert drawn.sum(axis=1) == pytest.approx(np.tile([160, 240], (20_000, 1)))
    assert drawn.sum(axis=2) == pytest.approx(np.tile([100, 300], (20_000, 1)))


def test_billions_of_rows_have_a_test() -> None:
    rows = np.array([[[3, 1], [1, 3]], [[6, 2], [2, 6]]]) * 10**9
    rows[0, 1] += [10**6, -(10**6)]
    drawn = permuted_tables(rows[:, 1], 99, np.random.default_rng(0))[..., 1]
    rates = drawn / rows[:, 1].sum(axis=1)
    seen = float(np.ptp(rows[:, 1, 1] / rows[:, 1].sum(axis=1)))
    assert judged(np.ptp(rates, axis=1), seen, 0.95)[1] == 0.01


def test_equal_weights_are_rows() -> None:
    cells = cells_of(TWO, TWO, TWO)
    for name in RATES[:-1]:
        for own, rows in zip(
            effective_tables(name, cells), effective_tables(name, cells_of(TWO)), strict=True
        ):
            assert (own == rows).all()


def test_groups_that_cannot_be_compared_have_no_test() -> None:
    found = plain(compared([[[9, 3], [0, 0]], [[5, 5], [4, 4]]]))
    assert math.isnan(found["true_positive_rate"].p)
    assert math.isnan(found["true_positive_rate"].chance)
