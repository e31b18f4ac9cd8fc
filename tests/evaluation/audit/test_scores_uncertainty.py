"""Intervals and tests of score metrics: how often they hold, and what they cost."""

import math
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from evaluation.audit.options import AuditOptions
from evaluation.audit.score_replicates import gap_interval, interval
from evaluation.audit.scores import score_comparisons
from evaluation.intervals import wilson_interval
from tests.evaluation.audit.scored import OPTIONS, sample, tally_of


def test_a_real_gap_is_beyond_chance() -> None:
    y, score, group = sample(9)
    options = replace(OPTIONS, replicates=300)
    (unequal,) = score_comparisons(tally_of(y, score, group), options)
    auc = unequal.gaps[0]
    assert auc.estimate.value > auc.chance
    assert auc.p == pytest.approx(1 / 301)
    assert 0 < auc.estimate.low < auc.estimate.value < auc.estimate.high


def test_without_a_gap_tests_and_intervals_err_as_often_as_they_say() -> None:
    """Groups that have nothing to do with the scores: p is uniform, and intervals hold 0."""
    rejected, covered = [], []
    for seed in range(150):
        y, score, _ = sample(seed, 300)
        group = np.random.default_rng(1000 + seed).integers(0, 3, 300)
        options = replace(OPTIONS, replicates=99, seed=7 * seed)
        (found,) = score_comparisons(tally_of(y, score, group), options)
        rejected.append(found.gaps[0].p <= 0.1)
        covered.append([gap.estimate.low == 0 for gap in found.gaps])
    assert 0.04 < np.mean(rejected) < 0.17
    assert np.mean(covered, axis=0).min() > 0.87


def test_intervals_cover_the_auc_and_its_gap() -> None:
    """Scores are binormal: AUC is Φ(d / √2) for means d apart. Three small groups, two alike."""
    shifts, names = np.array([1.5, 0.8, 0.8]), ("a", "b", "c")
    true = np.array([0.5 * (1 + math.erf(d / 2)) for d in shifts])
    options = replace(OPTIONS, replicates=200)
    rng, held = np.random.default_rng(0), []
    for _ in range(60):
        group, y = np.repeat([0, 1, 2], [60, 80, 60]), np.tile([0, 1], 100)
        latent = rng.normal(shifts[group] * y)
        tally = tally_of(y, 1 / (1 + np.exp(-latent)), group, bins=128, names=names)
        (found,) = score_comparisons(tally, options)
        ends = [*found.metrics[0].groups, found.gaps[0].estimate]
        truth = [*true, true.max() - true.min()]
        held.append([e.low <= t <= e.high for e, t in zip(ends, truth, strict=True)])
    covered = np.mean(held, axis=0)
    assert covered[:3].mean() > 0.93
    assert covered[3] > 0.9


def test_a_calibrated_model_is_covered() -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(40):
        score = rng.random(400)
        y = (rng.random(400) < score).astype(int)
        options = replace(OPTIONS, replicates=100)
        (found,) = score_comparisons(tally_of(y, score, 0 * y), options)
        error = next(m for m in found.metrics if m.name == "calibration_error").overall
        assert error.value > 0.01  # noise alone
        held += error.low == 0
    assert held >= 36


def test_a_perfect_ranking_is_not_certain() -> None:
    y = np.repeat([0, 1], [30, 10])
    tally = tally_of(y, 0.2 + 0.6 * y, 0 * y)
    (found,) = score_comparisons(tally, replace(OPTIONS, replicates=50))
    auc = found.metrics[0].overall
    assert (auc.value, auc.high, auc.how) == (1, 1, "wilson")
    assert auc.low == wilson_interval(10, 10).low


def test_the_interval_of_a_metric_by_hand() -> None:
    drawn = np.array([0.7, 0.9, np.nan])
    low, high = interval(0.8, drawn, 0.95)
    reach = 1.959964 * 0.1 / 0.16
    ends = [1 / (1 + math.exp(-(math.log(4) + sign * reach))) for sign in (-1, 1)]
    assert (low, high) == pytest.approx(ends, abs=1e-6)
    assert all(math.isnan(end) for end in interval(0.8, drawn[2:], 0.95))
    assert interval(1.0, drawn, 0.95) == pytest.approx((0.705, 0.895))


def test_the_interval_of_a_gap_by_hand() -> None:
    values = np.array([0.5, 0.7, np.nan])
    drawn = values + np.array([[0.0, -0.1, np.nan], [0.0, 0.1, np.nan]])
    assert gap_interval(values, drawn, 0.95) == pytest.approx((0.1, 0.3))
    assert all(math.isnan(end) for end in gap_interval(values[1:], drawn[:, 1:], 0.95))


def test_a_thousand_replicates_are_fast_and_small() -> None:
    y, score, group = sample(10, 50_000)
    tally = tally_of(y, score, group, bins=1024)
    options = AuditOptions()
    started = time.process_time()
    score_comparisons(tally, options)
    assert time.process_time() - started < 3  # about 0.5 s on an idle core
    tracemalloc.start()
    score_comparisons(tally, replace(options, replicates=300))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6
