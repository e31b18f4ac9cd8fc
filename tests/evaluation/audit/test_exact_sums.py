"""Weights and errors of any size: what is summed is exact, and scaling changes nothing."""

from __future__ import annotations

from dataclasses import asdict, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import t as student
from sklearn.metrics import average_precision_score, roc_auc_score

from evaluation.audit.compare import compare_groups
from evaluation.audit.exact_sums import BITS, weights_of
from evaluation.audit.gate import judge, parse_condition
from evaluation.audit.gather import Gather
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Audit, Comparison
from evaluation.audit.read import tally_arrays
from evaluation.audit.run import audit
from evaluation.audit.subgroups import search_subgroups
from evaluation.rates import confusion_cell

ONE = AuditOptions(min_group=1, replicates=200)
SMALLEST, LARGEST = 5e-324, 1.7976931348623157e308
NUMBERS = st.lists(
    st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 3)), max_size=20
)


@given(rows=NUMBERS, cut=st.integers(0, 20))
@example(rows=[(SMALLEST, 0), (LARGEST, 0), (-LARGEST, 0), (-0.0, 1), (2.0**30, 1)], cut=2)
@settings(max_examples=60, deadline=None)
def test_sums_are_those_of_fractions_however_rows_are_split(
    rows: list[tuple[float, int]], cut: int
) -> None:
    numbers, cells = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], int)
    gather = Gather(("plain", "absolute", "squared"))
    for part in (slice(cut), slice(cut, None)):
        gather.add((4,), cells[part], numbers[part])
    counted, unit = gather.counts((4,)), Fraction(2) ** (BITS * gather.place)
    assert counted.keys.tolist() == sorted(set(cells.tolist()))
    for key, (n, plain, absolute, squares) in zip(counted.keys, counted.values, strict=True):
        own = [Fraction(value) for value, cell in rows if cell == key]
        assert n == len(own)
        assert plain * unit == sum(own)
        assert absolute * unit == sum(map(abs, own))
        assert squares * unit**2 == sum(value**2 for value in own)


def _close(ours: Any, theirs: Any, factor: float = 1.0) -> None:
    """Records alike: numbers to 1e-9, everything else the same."""
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for name, own in ours.items():
            _close(own, theirs[name], factor)
    elif isinstance(ours, list | tuple):
        for one, other in zip(ours, theirs, strict=True):
            _close(one, other, factor)
    elif isinstance(ours, float):
        assert theirs * factor == pytest.approx(ours, rel=1e-9, abs=1e-9 * factor, nan_ok=True)
    else:
        assert ours == theirs


def _weighted(weight: Any, condition: str = "lower(accuracy_difference) > 0") -> Audit:
    rng = np.random.default_rng(0)
    y, group = rng.integers(0, 2, 60), np.repeat(["a", "b"], 30)
    predicted = np.where(rng.random(60) < 0.7, y, 1 - y)
    score = np.clip(0.5 * predicted + 0.5 * rng.random(60), 0, 1)
    tally = tally_arrays(y, predicted, group, score=score, positive=1, weight=weight)
    found = audit(tally, ONE)
    return replace(found, gate=judge(found, [parse_condition(condition)]))


@pytest.mark.parametrize("factor", [1e-200, 6e-7, 0.3, 7.0, 1e100, 1e200])
@pytest.mark.parametrize("size", [0.0, 1.0, 6.0])
def test_scaling_all_weights_changes_no_audit(factor: float, size: float) -> None:
    rng = np.random.default_rng(1)
    weight = np.exp(size * rng.normal(size=60))
    ours, theirs = (asdict(_weighted(own)) for own in (weight, factor * weight))
    for found in (ours, theirs):
        # How fine the digits are is the one thing that may differ.
        del found["schema"]["place"]
    _close(ours, theirs)


def test_equal_weights_of_any_size_are_no_weights() -> None:
    plain, tiny = _weighted(None), _weighted(np.full(60, 1e-310))
    for ours, theirs in zip(plain.comparisons[0].metrics, tiny.comparisons[0].metrics, strict=True):
        values = [[own.value, own.low, own.high] for own in (*ours.groups, ours.overall)]
        others = [[own.value, own.low, own.high] for own in (*theirs.groups, theirs.overall)]
        # The smallest floats have few digits: all of them the same.
        assert np.allclose(values, others, rtol=1e-9, equal_nan=True)


def _accuracy(y: Any, p: Any, g: Any, w: Any) -> list[tuple[float, float, float]]:
    (found,) = compare_groups(tally_arrays(y, p, g, weight=w, classes=(0, 1)), ONE)
    own = next(metric for metric in found.metrics if metric.name == "accuracy")
    return [(one.value, one.low, one.high) for one in (*own.groups, own.overall)]


def test_small_weights_keep_their_intervals() -> None:
    y, p = np.ones(40, int), np.ones(40, int)
    g = np.repeat(["a", "b"], 20)
    p[[18, 19, 36, 37, 38, 39]] = 0
    assert _accuracy(y, p, g, np.full(40, 5e-4)) == pytest.approx(
        [pytest.approx(own, abs=1e-9) for own in _accuracy(y, p, g, np.ones(40))]
    )
    a, b, _ = _accuracy([1, 0, 1, 0], [1, 1, 1, 1], list("aabb"), [6e-7, 3e-7, 6e-7, 4e-7])
    assert (a[0], b[0]) == pytest.approx((2 / 3, 0.6), abs=1e-12)


def test_groups_of_very_different_weight_are_each_right() -> None:
    """Neither a huge weight nor a group that weighs nothing beside it hides the others' rates."""
    y, p, g = [1, 1, 1, 1, 1, 1], [1, 0, 0, 1, 0, 0], list("aaabbb")
    light, heavy = [1e-300, 2e-300, 1e-300], [1e300, 3e300, 0.0]
    a, b, everyone = _accuracy(y, p, g, light + heavy)
    assert (a[0], b[0], everyone[0]) == pytest.approx((0.25, 0.25, 0.25))
    alone = _accuracy(y[:3] * 2, p[:3] * 2, g, [1, 2, 1] * 2)[0]
    assert a == pytest.approx(alone, abs=1e-9)
    huge = _accuracy([1] * 6, [1, 0, 0, 1, 0, 1], list("aaaabb"), [1e200, 1, 1, 1, 1, 3])
    assert (huge[0][0], huge[1][0]) == pytest.approx((1.0, 0.75))


def test_weights_of_0_count_rows_and_nothing_else() -> None:
    y, p, g = [1, 0, 1, 0], [1, 0, 0, 0], list("aabb")
    for none in (0.0, -0.0):
        tally = tally_arrays(y, p, g, weight=[1, 1, none, none], positive=1)
        (found,) = compare_groups(tally, ONE)
        assert found.rows == (2, 2)
        accuracy = next(metric for metric in found.metrics if metric.name == "accuracy")
        assert accuracy.groups[0].value == 1
        assert np.isnan(accuracy.groups[1].value)
        assert np.isnan(found.gap("accuracy_difference").estimate.value)


@pytest.mark.parametrize("factor", [1e-200, 1.0, 1e200])
def test_metrics_of_scores_take_weights_of_any_size(factor: float) -> None:
    rng = np.random.default_rng(3)
    y, score = rng.integers(0, 2, 80), (rng.integers(0, 64, 80) + 0.5) / 64
    weight = factor * 10.0 ** rng.uniform(-4, 4, 80)
    tally = tally_arrays(
        y, None, np.repeat("a", 80), score=score, weight=weight, positive=1, bins=64
    )
    found = {own.name: own.overall.value for own in audit(tally, ONE).scores[0].metrics}
    relative = weight / weight.mean()
    assert found["roc_auc"] == pytest.approx(roc_auc_score(y, score, sample_weight=relative))
    expected = average_precision_score(y, score, sample_weight=relative)
    assert found["average_precision"] == pytest.approx(expected)


def _regression(errors: Any, factor: float = 1.0, offset: float = 0.0) -> Comparison:
    errors = np.asarray(errors)
    group = np.repeat(["a", "b"], [20, len(errors) - 20])
    truth = np.full(len(errors), factor * offset)
    tally = tally_arrays(truth, truth + factor * errors, group, task="regression")
    (found,) = compare_groups(tally, ONE)
    return found


@pytest.mark.parametrize("factor", [1e-200, 1e-12, 1e-7, 1.0, 1e12, 1e140])
def test_errors_of_any_size_are_numpys(factor: float) -> None:
    rng = np.random.default_rng(4)
    errors = rng.normal(0.3, 1, 50)
    found = {metric.name: metric for metric in _regression(errors, factor).metrics}
    for i, own in enumerate((errors[:20], errors[20:])):
        absolute = np.abs(own)
        for name, terms in (("mean_error", own), ("mean_absolute_error", absolute)):
            estimate = found[name].groups[i]
            half = student.ppf(0.975, len(own) - 1) * terms.std(ddof=1) / np.sqrt(len(own))
            low = terms.mean() - half if name == "mean_error" else max(0, terms.mean() - half)
            ends = [terms.mean(), low, terms.mean() + half]
            ours = [estimate.value, estimate.low, estimate.high]
            assert [end / factor for end in ours] == pytest.approx(ends, rel=1e-9)
        rmse = found["root_mean_squared_error"].groups[i].value
        assert rmse / factor == pytest.approx(np.sqrt((own**2).mean()), rel=1e-9)
        assert rmse >= found["mean_absolute_error"].groups[i].value


@pytest.mark.parametrize("factor", [1e-12, 1e-7, 1e12])
def test_scaling_a_regression_scales_its_gaps(factor: float) -> None:
    rng = np.random.default_rng(5)
    errors = rng.normal(0, 1, 50) * np.repeat([1, 2], [20, 30])
    ours, theirs = _regression(errors), _regression(errors, factor)
    for one, other in zip(ours.gaps, theirs.gaps, strict=True):
        squared = 2 if one.metric == "mean_squared_error" else 1
        scale = 1.0 if one.kind == "ratio" else factor**-squared
        _close(
            asdict(one.estimate) | {"n": 0, "undefined": 0},
            asdict(other.estimate) | {"n": 0, "undefined": 0},
            scale,
        )
        assert other.p == pytest.approx(one.p, rel=1e-9, nan_ok=True)
        assert other.detectable * scale == pytest.approx(one.detectable, rel=1e-9, nan_ok=True)


def test_errors_that_hardly_vary_keep_their_spread() -> None:
    """The difference of Σe²/n and (Σe/n)² has no digits left in floating point."""
    deviations = np.tile([-1.0, 1.0], 25) / 1024
    estimate = _regression(2.0**30 + deviations).metrics[0].groups[0]
    half = student.ppf(0.975, 19) * (1 / 1024) / np.sqrt(19)
    assert estimate.value == 2.0**30
    assert estimate.high - estimate.value == pytest.approx(half, rel=1e-3)


@pytest.mark.parametrize(("factor", "bias"), [(1e-12, 0.0), (1.0, 2.0**26), (1e9, 0.0)])
def test_subgroups_of_a_regression_are_found_at_any_size(factor: float, bias: float) -> None:
    rng = np.random.default_rng(6)
    a, b = rng.integers(0, 3, 900), rng.integers(0, 4, 900)
    errors = bias + np.abs(rng.normal(size=900)) * np.where(b == 1, 3, 1)
    tally = tally_arrays(np.zeros(900), factor * errors, {"a": a, "b": b}, task="regression")
    (found,) = search_subgroups(tally, AuditOptions()).found
    assert found.where == (("b", "1"),)
    assert found.estimate.value == pytest.approx(factor * errors[b == 1].mean(), rel=1e-9)
    assert found.rest == pytest.approx(factor * errors[b != 1].mean(), rel=1e-9)
    assert 0 < found.shortfall < factor * (errors[b == 1].mean() - errors[b != 1].mean())


def test_weights_of_a_table_are_relative_to_their_mean() -> None:
    table = np.array([[[2, 2**70, 0]], [[2, 3 * 2**70, 0]]], object)
    weights = weights_of(table)
    assert weights[1, 0] == 3 * weights[0, 0]
    assert 0.5 < weights.sum() / 4 <= 2


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_cells_against_the_rest_lose_no_small_weights(classes: int) -> None:
    # Powers of two that do not fit one float together: a difference would be 0.
    table = 2.0 ** -(60 * np.arange(classes**2).reshape(1, classes, classes))
    found = [confusion_cell(table, name) for name in ("tp", "fp", "fn", "tn")]
    for c in range(classes):
        rest = [i for i in range(classes) if i != c]
        expected = [
            table[0, c, c], table[0, rest, c].sum(), table[0, c, rest].sum(),
            table[0][np.ix_(rest, rest)].sum(),
        ]  # fmt: skip
        assert [cell[0, c] for cell in found] == expected
