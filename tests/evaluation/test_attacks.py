"""Measures of attacks, by hand and against scikit-learn; LiRA on Gaussians."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from evaluation.attacks import auc, confidence, found_at, likelihood_ratios, measured


def test_the_area_is_scikit_learns_with_ties() -> None:
    draws = np.random.default_rng(0)
    scores, member = draws.integers(0, 6, 300).astype(float), draws.random(300) < 0.4
    assert auc(scores[member], scores[~member]) == pytest.approx(roc_auc_score(member, scores))
    assert np.isnan(auc(scores[:0], scores))


def test_who_is_found_at_few_alarms() -> None:
    others = np.arange(200.0)  # two of them may be taken for members: those above 197
    assert found_at(np.array([197.0, 197.5, 500.0, 3.0]), others) == 0.5
    assert np.isnan(found_at(np.array([500.0]), others[:99]))  # 1 % of 99 is nobody


def test_guessing_is_half_and_its_interval_says_so() -> None:
    draws = np.random.default_rng(1)
    found = measured("the model", "loss", draws.normal(size=1000), np.arange(1000) < 500)
    assert found.auc.low < 0.5 < found.auc.high
    assert found.auc.high - found.auc.low < 0.08
    plain = found.to_json()
    assert (plain["members"], plain["others"], plain["group"]) == (500, 500, None)
    alone = measured("the model", "loss", np.zeros(3), np.ones(3, bool)).to_json()
    assert alone["auc"] == {"value": None, "low": None, "high": None}


def test_cells_that_members_hold_more_often_are_no_finding() -> None:
    """Scores tell cells apart and nothing else; members are mostly of the one with large ones."""
    draws = np.random.default_rng(3)
    member = np.arange(8000) < 4000
    cells = (draws.random(8000) < np.where(member, 0.9, 0.1)).astype(np.int64)
    scores = 5.0 * cells + draws.normal(size=8000)
    assert measured("the model", "loss", scores, member).auc.value > 0.8
    within = measured("the model", "loss", scores, member, strata=cells).auc
    assert abs(within.value - 0.5) < 0.03


def test_lira_finds_what_the_plain_loss_does_not() -> None:
    """Rows differ in difficulty far more than membership moves them."""
    draws = np.random.default_rng(2)
    n, shadows = 400, 16
    difficulty, member = draws.normal(0, 5, n), np.arange(n) < n // 2
    inside = np.array([draws.permutation(n) < n // 2 for _ in range(shadows // 2)])
    inside = np.concatenate([inside, ~inside])
    confidences = difficulty + inside * 1.0 + draws.normal(0, 0.5, (shadows, n))
    target = difficulty + member * 1.0 + draws.normal(0, 0.5, n)
    plain = auc(target[member], target[~member])
    scores = likelihood_ratios(target, confidences, inside)
    assert plain < 0.62
    assert auc(scores[member], scores[~member]) > 0.85


def test_confidence_is_the_log_odds_of_the_true_class() -> None:
    found = confidence(np.array([[0.9, 0.1], [0.5, 0.5], [1.0, 0.0]]), np.array([0, 1, 0]))
    assert found[:2] == pytest.approx([np.log(9), 0.0])
    assert np.isfinite(found).all()
