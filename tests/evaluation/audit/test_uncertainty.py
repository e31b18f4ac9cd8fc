"""Intervals of metrics and gaps."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.audit.compare import compare_groups
from evaluation.audit.gaps import gap_kinds
from evaluation.audit.measured import effective_size, make_cells, measure, normal_noise
from evaluation.audit.metrics import chosen
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Comparison
from evaluation.audit.uncertainty import gap_intervals
from evaluation.bootstrap import bootstrap_intervals
from evaluation.intervals import wilson_interval, wilson_limits
from tests.evaluation.audit.tallies import tally_of, tally_of_errors

RATES = ("accuracy", "true_positive_rate", "false_positive_rate")


def compare(table: np.ndarray, weight: float | None = None, **options: object) -> Comparison:
    """Compare groups given as ``(groups, true, predicted)`` counts."""
    group, true, predicted = np.indices(table.shape).reshape(3, -1)
    times = table.ravel()
    rows = [np.repeat(column, times) for column in (true, predicted, group)]
    tally = tally_of(
        rows[0],
        rows[1],
        {"g": rows[2]},
        classes=table.shape[-1],
        weight=None if weight is None else np.full(len(rows[0]), weight),
    )
    (found,) = compare_groups(tally, AuditOptions(**({"min_group": 1} | options)))  # type: ignore[arg-type]
    return found


def coverage(sizes: tuple[int, ...], rates: tuple[float, ...], simulations: int) -> float:
    """Share of the intervals of a difference of accuracies that hold the truth."""
    rng, (metric,) = np.random.default_rng(0), chosen(("accuracy",))
    kind, held = gap_kinds([metric])[0], 0
    truth = max(rates) - min(rates)
    for i in range(simulations):
        right = rng.binomial(sizes, rates)
        table = np.zeros((len(sizes), 2, 2, 1), np.int64)
        table[:, 1, 1, 0], table[:, 1, 0, 0] = right, np.array(sizes) - right
        cells = make_cells(table, np.ones(len(sizes), bool), replicates=400, rng=rng)
        parts = {"accuracy": measure(metric, cells, 0.95, (i,))}
        values = {kind.name: float(kind.of_counts(cells.weights))}
        low, high = gap_intervals([kind], parts, values, "macro", 0.95)[kind.name]
        held += low - 1e-12 <= truth <= high + 1e-12
    return held / simulations


@pytest.mark.parametrize(
    ("sizes", "rates"),
    [
        ((30, 60), (0.7, 0.7)),
        ((100, 100), (0.75, 0.7)),
        ((30, 60, 120), (0.8, 0.8, 0.5)),
        ((60, 60, 60, 60), (0.7, 0.7, 0.7, 0.7)),
    ],
)
def test_intervals_of_gaps_cover(sizes: tuple[int, ...], rates: tuple[float, ...]) -> None:
    """Nominal 95 %; three standard errors of 200 are 4.5 %; `docs/audit_coverage.json` has more."""
    assert coverage(sizes, rates, 200) == pytest.approx(0.955, abs=0.045)


def test_intervals_of_f1_cover_with_few_positives() -> None:
    """A tenth of 60 rows: a bootstrap took F1 of 0 or 1 for certain, and covered 76 to 89 %."""
    rng, metrics, held = np.random.default_rng(1), chosen(("f1", "balanced_accuracy")), []
    kinds = [kind for kind in gap_kinds(metrics) if kind.name.endswith("_difference")]
    chances = np.array([[0.855, 0.045, 0.04, 0.06], [0.855, 0.045, 0.07, 0.03]])
    truth = {k.name: float(k.of_counts(chances.reshape(2, 2, 2))) for k in kinds}
    for i in range(150):
        table = rng.multinomial(60, chances).reshape(2, 2, 2, 1)
        cells = make_cells(table, np.ones(2, bool), replicates=300, rng=rng)
        parts = {m.name: measure(m, cells, 0.95, (i,)) for m in metrics}
        values = {k.name: float(k.of_counts(cells.weights)) for k in kinds}
        found = gap_intervals(kinds, parts, values, "macro", 0.95)
        held += [low <= truth[name] <= high for name, (low, high) in found.items()]
    assert np.mean(held) == pytest.approx(0.955, abs=0.035)


def test_rates_have_wilsons_intervals() -> None:
    found = compare(np.array([[[50, 10], [5, 35]], [[30, 30], [0, 20]]]))
    recall = next(m for m in found.metrics if m.name == "true_positive_rate")
    for estimate, hits, n in zip(recall.groups, (35, 20), (40, 20), strict=True):
        expected = wilson_interval(hits, n)
        assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))
        assert (estimate.n, estimate.how) == (n, "wilson")
    assert recall.overall.n == 60


def test_wilson_of_many_is_wilson_of_each() -> None:
    low, high = wilson_limits(np.array([0.0, 0.3, 1.0, np.nan]), np.array([5, 10, 4, 0]), 0.9)
    for i, (hits, n) in enumerate(((0, 5), (3, 10), (4, 4))):
        expected = wilson_interval(hits, n, 0.9)
        assert (low[i], high[i]) == pytest.approx((expected.low, expected.high))
    assert np.isnan([low[3], high[3]]).all()


def test_large_gaps_have_the_bootstraps_interval() -> None:
    table = np.array([[[4000, 1000], [800, 4200]], [[3000, 2000], [2000, 3000]]])
    found = compare(table)
    for kind in gap_kinds(chosen(())):
        shares = kind.metric not in ("f1", "balanced_accuracy")
        if kind.method == "to_overall" and (kind.kind == "ratio" or not shares):
            continue  # cautious by design: as if the overall value did not hold the group's rows
        gap = found.gap(kind.name).estimate
        drawn = bootstrap_intervals(table, {"": kind.of_counts})[""]
        if drawn.value != pytest.approx(kind.fair, abs=0.1):
            half = (drawn.high - drawn.low) / 2
            assert (gap.low, gap.high) == pytest.approx((drawn.low, drawn.high), abs=0.35 * half)


def test_no_gap_is_held_by_its_interval() -> None:
    even = np.array([[[40, 10], [10, 40]]] * 5)
    for gap in compare(even).gaps:
        fair = 0.0 if gap.kind == "difference" else 1.0
        assert gap.estimate.value == pytest.approx(fair)
        assert gap.estimate.low <= gap.estimate.value <= gap.estimate.high
        assert gap.estimate.high > gap.estimate.low


def test_a_clear_gap_excludes_equality() -> None:
    found = compare(np.array([[[90, 10], [10, 90]], [[60, 40], [40, 60]]]))
    for name in ("accuracy_difference", "equalized_odds_difference"):
        gap = found.gap(name)
        assert gap.estimate.low > 0.1
        assert gap.estimate.value > gap.chance
        assert gap.p < 0.01
        assert 0 < gap.detectable < gap.estimate.value
    assert found.gap("accuracy_ratio").estimate.high < 0.9


@given(table=st.lists(st.integers(0, 12), min_size=12, max_size=12))
@settings(max_examples=12, deadline=None)
def test_intervals_hold_their_value_on_any_counts(table: list[int]) -> None:
    counts = np.array(table).reshape(3, 2, 2)
    if not counts.sum():
        return
    found = compare(counts, replicates=60)
    estimates = [e for m in found.metrics for e in (m.overall, *m.groups)]
    estimates += [gap.estimate for gap in found.gaps]
    for estimate in estimates:
        if estimate.how == "none":
            assert math.isnan(estimate.low)
            continue
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert 0 <= estimate.undefined <= 1
    for gap in found.gaps:
        assert math.isnan(gap.p) or 0 < gap.p <= 1
        assert math.isnan(gap.p_bh) or gap.p <= gap.p_bh <= 1


def test_a_group_that_vanishes_is_said() -> None:
    counts = np.array([[[20, 5], [5, 20]], [[1, 0], [0, 0]]])
    gap = compare(counts).gap("accuracy_difference").estimate
    assert gap.undefined == pytest.approx(math.exp(-1), abs=0.05)
    assert 0 <= gap.low <= gap.high <= 1
    lone = compare(counts).metrics[0].groups[1]
    assert lone.undefined == pytest.approx(math.exp(-1), abs=0.05)


def test_more_classes() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(5, 40, (3, 4, 4)) + 60 * np.eye(4, dtype=int)
    for across in ("macro", "worst"):
        found = compare(counts, across=across)
        for metric in found.metrics:
            for estimate in metric.groups:
                assert estimate.low <= estimate.value <= estimate.high
                assert estimate.high - estimate.low < 0.3
        for gap in found.gaps:
            assert gap.estimate.low <= gap.estimate.value <= gap.estimate.high
            assert 0 < gap.p <= 1


def test_equal_weights_change_nothing_but_the_units() -> None:
    counts = np.array([[[50, 10], [5, 35]], [[30, 30], [10, 20]]])
    plain, weighted = compare(counts), compare(counts, weight=2.5)
    for own, other in zip(plain.metrics, weighted.metrics, strict=True):
        for a, b in zip(own.groups, other.groups, strict=True):
            assert (b.value, b.n) == (pytest.approx(a.value), a.n)
            assert (b.low, b.high) == pytest.approx((a.low, a.high), abs=1e-6)
    for a, b in zip(plain.gaps, weighted.gaps, strict=True):
        assert b.estimate.value == pytest.approx(a.estimate.value)
        assert (b.estimate.low, b.estimate.high) == pytest.approx(
            (a.estimate.low, a.estimate.high), abs=0.03
        )


def test_uneven_weights_are_worth_fewer_rows() -> None:
    (metric,) = chosen(("accuracy",))
    weights = np.array([[[3.0, 1.0], [1.0, 3.0]]])  # of 8 rows: two of weight 2, four of 1
    squares = np.array([[[5.0, 1.0], [1.0, 5.0]]])
    size = effective_size(metric.parts(weights), metric.parts(squares))
    assert size[0, 0] == pytest.approx(0.75 * 0.25 * 64 / (0.0625 * 10 + 0.5625 * 2))
    all_right = np.array([[[3.0, 0.0], [0.0, 3.0]]]), np.array([[[5.0, 0.0], [0.0, 5.0]]])
    size = effective_size(*(metric.parts(table) for table in all_right))
    assert size[0, 0] == pytest.approx(36 / 10)


def test_without_replicates_there_are_no_intervals() -> None:
    found = compare(np.array([[[50, 10], [5, 35]], [[30, 30], [10, 20]]]), replicates=0)
    assert all(e.how == "none" for m in found.metrics for e in (m.overall, *m.groups))
    assert all(gap.estimate.how == "none" for gap in found.gaps)
    assert found.gap("accuracy_difference").p < 0.01


def test_the_seed_alone_decides() -> None:
    counts = np.array([[[50, 10], [5, 35]], [[30, 30], [10, 20]]])
    first, again, other = (compare(counts, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other
    some = compare(counts, seed=1, metrics=("accuracy",))
    assert some.metrics[0] == first.metrics[0]
    assert some.gap("accuracy_ratio").estimate == first.gap("accuracy_ratio").estimate


def test_noise_has_the_normals_quantiles() -> None:
    noise = normal_noise((3, 2), 500, np.random.default_rng(0))
    assert noise.shape == (3, 2, 500)
    assert noise.std(axis=-1) == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(np.sort(noise[0, 0]), np.sort(noise[2, 1]))
    assert abs(np.corrcoef(noise[0, 0], noise[1, 1])[0, 1]) < 0.2


def test_errors_of_a_regression() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1, 2], (40, 60, 80))
    errors = rng.normal(np.array([0.0, 0.5, 0.0])[group], 1)
    (found,) = compare_groups(tally_of_errors(errors, group, 3), AuditOptions())
    functions = {
        "mean_error": np.mean,
        "mean_absolute_error": lambda e: np.abs(e).mean(),
        "mean_squared_error": lambda e: (e**2).mean(),
        "root_mean_squared_error": lambda e: np.sqrt((e**2).mean()),
    }
    for metric in found.metrics:
        values = [functions[metric.name](errors[group == g]) for g in range(3)]
        assert [e.value for e in metric.groups] == pytest.approx(values, abs=1e-5)
        gap = found.gap(f"{metric.name}_difference").estimate
        assert gap.value == pytest.approx(max(values) - min(values), abs=1e-5)
        if "squared" in metric.name:
            assert gap.how == metric.groups[0].how == "none"
            continue
        assert gap.low <= gap.value <= gap.high
        assert metric.groups[0].how == "normal"
        assert gap.n == 180
    mean = found.metrics[0].groups[0]
    half = 2.0227 * errors[:40].std(ddof=1) / math.sqrt(40)  # Student's t with 39 degrees
    assert (mean.low, mean.high) == pytest.approx((mean.value - half, mean.value + half), abs=1e-4)
    assert "mean_error_ratio" not in [gap.name for gap in found.gaps]
    assert found.gap("mean_error_difference").p < 0.05


def test_gaps_of_errors_may_exceed_one() -> None:
    errors = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])
    (found,) = compare_groups(tally_of_errors(errors, np.repeat([0, 1], 50), 2), AuditOptions())
    gap = found.gap("mean_error_difference").estimate
    assert gap.value == pytest.approx(10)
    assert 9.5 < gap.low < gap.value < gap.high < 10.5
