"""Score metrics from histograms against scikit-learn, and comparisons of groups."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from evaluation.audit import histograms
from evaluation.audit.histograms import equal_bins, points
from evaluation.audit.schema import Axis, Schema
from evaluation.audit.scores import score_comparisons
from evaluation.audit.sparse import SparseCounts
from evaluation.audit.tally import Tally
from tests.evaluation.audit.scored import OPTIONS, bin_of, sample, tally_of

ORACLES = {
    "roc_auc": roc_auc_score,
    "average_precision": average_precision_score,
    "brier": brier_score_loss,
}


def histogram_of(
    y: np.ndarray, score: np.ndarray, bins: int, weight: np.ndarray | None = None
) -> np.ndarray:
    found = np.zeros((2, bins))
    np.add.at(found, (y, bin_of(score, bins)), 1.0 if weight is None else weight)
    return found


def calibration_oracle(y: np.ndarray, score: np.ndarray, weight: np.ndarray) -> float:
    cell = bin_of(score, 15)
    off = [abs(float((weight * (score - y))[cell == k].sum())) for k in range(15)]
    return sum(off) / float(weight.sum())


def true_values(y: np.ndarray, score: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Every metric from rows."""
    found = {name: oracle(y, score, sample_weight=weight) for name, oracle in ORACLES.items()}
    found["mean_score"] = float(np.average(score, weights=weight))
    return found | {"calibration_error": calibration_oracle(y, score, weight)}


@st.composite
def scored_rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Outcomes of both kinds, scores, weights, and a number of bins."""
    n = draw(st.integers(2, 40))
    y = np.array([0, 1, *draw(st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2))])
    score = draw(st.lists(st.floats(0, 1), min_size=n, max_size=n))
    weight = draw(st.lists(st.sampled_from([0.25, 1.0, 3.0]), min_size=n, max_size=n))
    return y, np.array(score), np.array(weight), draw(st.sampled_from([1, 7, 15, 32, 100, 1024]))


@given(scored_rows(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_scores_on_centres_give_sklearns_values(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray, int], weighted: bool
) -> None:
    y, score, weight, bins = rows
    weight = weight if weighted else np.ones(len(y))
    centred = (bin_of(score, bins) + 0.5) / bins
    histogram, grid = histogram_of(y, centred, bins, weight), equal_bins(bins)
    for kind in histograms.KINDS:
        expected = true_values(y, centred, weight)[kind.name]
        assert float(kind.of(histograms.Sums(histogram, grid))) == pytest.approx(expected, abs=1e-9)


@given(scored_rows(), st.booleans())
@settings(max_examples=80, deadline=None)
def test_any_scores_are_within_the_stated_error(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray, int], weighted: bool
) -> None:
    y, score, weight, bins = rows
    weight = weight if weighted else np.ones(len(y))
    histogram, grid = histogram_of(y, score, bins, weight), equal_bins(bins)
    true = true_values(y, score, weight)
    for kind in histograms.KINDS:
        error = float(kind.error_of(histograms.Sums(histogram, grid)))
        assert (
            abs(float(kind.of(histograms.Sums(histogram, grid))) - true[kind.name]) <= error + 1e-9
        ), kind.name
        assert error <= 1 or kind.name == "calibration_error"


def test_finer_bins_leave_a_smaller_error() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 4000)
    score = np.clip(rng.normal(0.4 + 0.2 * y, 0.2), 0, 1)
    for kind in histograms.KINDS:
        errors = [
            float(kind.error_of(histograms.Sums(histogram_of(y, score, bins), equal_bins(bins))))
            for bins in (16, 128, 1024)
        ]
        assert errors[0] > errors[1] > errors[2]
        assert errors[2] < 0.01, kind.name


def test_an_error_that_is_reached() -> None:
    """One row of each kind in one bin: the order is unknown, so AUC is one half give or take."""
    both = np.array([[0.0, 1.0], [0.0, 1.0]])
    for grid, error in ((equal_bins(2), 0.5), (points(np.array([0.1, 0.9])), 0.0)):
        sums = histograms.Sums(both, grid)
        assert float(histograms.roc_auc(sums)) == 0.5
        assert float(histograms.roc_auc_error(sums)) == error


def test_groups_are_compared() -> None:
    y, score, group = sample(1)
    score = (bin_of(score, 64) + 0.5) / 64
    (found,) = score_comparisons(tally_of(y, score, group), OPTIONS)
    assert (found.by, found.groups) == (("sex",), ("a", "b", "c"))
    for metric in found.metrics:
        if metric.name not in ORACLES:
            continue
        oracle = ORACLES[metric.name]
        own = [oracle(y[group == g], score[group == g]) for g in range(3)]
        assert [e.value for e in metric.groups] == pytest.approx(own, abs=1e-9)
        assert metric.overall.value == pytest.approx(oracle(y, score), abs=1e-9)
        assert [e.n for e in metric.groups] == [int((group == g).sum()) for g in range(3)]
        gap = next(gap for gap in found.gaps if gap.metric == metric.name)
        assert gap.estimate.value == pytest.approx(max(own) - min(own), abs=1e-9)
        assert (gap.lowest, gap.highest) == ("abc"[np.argmin(own)], "abc"[np.argmax(own)])
    assert {gap.name for gap in found.gaps} == {f"{m.name}_difference" for m in found.metrics}
    assert all(math.isnan(gap.estimate.low) and gap.estimate.how == "none" for gap in found.gaps)


def test_pictures_count_every_row_once() -> None:
    y, score, group = sample(2)
    (found,) = score_comparisons(tally_of(y, score, group), OPTIONS)
    for g, (density, curve) in enumerate(zip(found.densities, found.calibration, strict=True)):
        assert len(density) == 20
        assert sum(density) == pytest.approx(1)
        assert sum(n for _, _, n in curve) == (group == g).sum()
        rate = sum(rate * n for _, rate, n in curve) / (group == g).sum()
        assert rate == pytest.approx(y[group == g].mean())
        assert all(0 <= s <= 1 for s, _, _ in curve)
        assert list(curve) == sorted(curve)


def test_weights_count_and_rows_stay_rows() -> None:
    y, score, group = sample(3, 400)
    weight = np.where(group == 0, 2.0, 0.5) + y
    score = (bin_of(score, 64) + 0.5) / 64
    options = replace(OPTIONS, replicates=100)
    (found,) = score_comparisons(tally_of(y, score, group, weight=weight), options)
    brier = next(m for m in found.metrics if m.name == "brier")
    expected = brier_score_loss(y, score, sample_weight=weight)
    assert brier.overall.value == pytest.approx(expected, abs=1e-9)
    assert brier.overall.n == 400
    assert brier.overall.low < expected < brier.overall.high


def test_small_groups_are_not_compared_but_count_overall() -> None:
    y, score, group = sample(4, 600)
    group[group == 2] = 1
    group[:5] = 2
    (found,) = score_comparisons(tally_of(y, score, group), replace(OPTIONS, min_group=6))
    assert found.groups == ("a", "b")
    assert len(found.densities) == len(found.calibration) == 2
    assert found.metrics[0].overall.n == 600


def test_where_all_groups_are_small_there_is_only_the_whole() -> None:
    y, score, group = sample(4, 200)
    options = replace(OPTIONS, min_group=150, replicates=20)
    (found,) = score_comparisons(tally_of(y, score, group), options)
    assert (found.groups, found.densities, found.calibration) == ((), (), ())
    assert 0.5 < found.metrics[0].overall.low < found.metrics[0].overall.high < 1


@pytest.mark.parametrize("bins", [1, 2, 257, 1000])
def test_any_number_of_bins_will_do(bins: int) -> None:
    y, score, group = sample(4, 200)
    tally = tally_of(y, score, group, bins=bins)
    (found,) = score_comparisons(tally, replace(OPTIONS, replicates=20))
    for metric in found.metrics:
        assert 0 <= metric.overall.low <= metric.overall.value <= metric.overall.high <= 1


def test_weights_of_nothing_leave_nothing_to_say() -> None:
    y, score, group = sample(4, 60)
    tally = tally_of(y, score, group, weight=np.zeros(60))
    (found,) = score_comparisons(tally, replace(OPTIONS, replicates=20))
    assert all(math.isnan(metric.overall.value) for metric in found.metrics)


def test_one_group_has_no_gap_and_one_kind_no_ranking() -> None:
    y, score, group = sample(5, 300)
    options = replace(OPTIONS, replicates=20)
    (alone,) = score_comparisons(tally_of(y, score, 0 * group), options)
    assert all(math.isnan(gap.estimate.value) and gap.lowest == "" for gap in alone.gaps)
    y[group == 1] = 0
    (found,) = score_comparisons(tally_of(y, score, group), options)
    auc = found.metrics[0]
    assert math.isnan(auc.groups[1].value)
    assert found.gaps[0].estimate.value == abs(auc.groups[0].value - auc.groups[2].value)


def test_a_group_that_vanishes_from_replicates_is_reported() -> None:
    y, score, group = sample(6, 200, groups=2)
    group[:2], y[:2] = 2, [0, 1]  # both are drawn in about (1 - 1/e)² of the replicates
    (found,) = score_comparisons(tally_of(y, score, group), replace(OPTIONS, replicates=400))
    undefined = found.metrics[0].groups[2].undefined
    assert undefined == pytest.approx(1 - (1 - math.exp(-1)) ** 2, abs=0.08)


def test_without_scores_or_rows_there_is_nothing() -> None:
    y, score, group = sample(7, 50)
    tally = tally_of(y, score, group)
    assert score_comparisons(replace(tally, scores=None), OPTIONS) == ()
    nothing = np.zeros(0, int)
    assert score_comparisons(tally_of(nothing, nothing * 0.5, nothing), OPTIONS) == ()


def test_several_classes_are_compared_one_by_one() -> None:
    schema = Schema("classification", ("x", "y", "z"), (Axis("sex", ("a", "b")),), bins=4)
    shape = (1, 2, 3, 2, 4)
    scores = SparseCounts.collect(shape, np.arange(48), np.arange(1, 49)[:, None])
    found = score_comparisons(Tally(schema, None, scores), OPTIONS)
    assert [f.metrics[0].scored for f in found] == ["x", "y", "z"]
    assert found[1].gaps[0].title == "ROC AUC of the score for y: difference between groups"


def test_two_classes_without_a_named_positive_one_are_compared_once() -> None:
    schema = Schema("classification", ("no", "yes"), (Axis("sex", ("a", "b")),), bins=4)
    scores = SparseCounts.collect((1, 2, 2, 2, 4), np.arange(32), np.ones((32, 1), np.int64))
    (found,) = score_comparisons(Tally(schema, None, scores), OPTIONS)
    assert found.metrics[0].scored == "yes"


def test_crossed_columns_come_with_the_single_ones() -> None:
    axes = (Axis("sex", ("f", "m")), Axis("age", ("old", "young")))
    schema = Schema("classification", ("0", "1"), axes, positive="1", bins=2)
    scores = SparseCounts.collect((1, 2, 2, 1, 2, 2), np.arange(16), np.ones((16, 1), np.int64))
    found = score_comparisons(Tally(schema, None, scores), OPTIONS)
    assert [f.by for f in found] == [("sex",), ("age",), ("sex", "age")]
    assert found[2].groups[1] == "f × young"
    asked = replace(OPTIONS, by=(("age",),))
    assert [f.by for f in score_comparisons(Tally(schema, None, scores), asked)] == [("age",)]


def test_merged_sites_give_the_same_comparison() -> None:
    y, score, group = sample(8, 500)
    first = tally_of(y[:200], score[:200], group[:200])
    both = first + tally_of(y[200:], score[200:], group[200:])
    options = replace(OPTIONS, replicates=50)
    pooled = score_comparisons(tally_of(y, score, group), options)
    assert score_comparisons(both, options) == pooled
