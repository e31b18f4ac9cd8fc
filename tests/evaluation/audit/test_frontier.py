"""The frontier of thresholds by group against fairlearn's ThresholdOptimizer."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fairlearn.postprocessing import ThresholdOptimizer
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin

from evaluation.audit.frontier import CONSTRAINTS, NOBODY, best_points, frontiers, roc_hull
from evaluation.audit.histograms import equal_bins
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Frontier
from evaluation.audit.tally import Tally
from tests.evaluation.audit import scored

OPTIONS = AuditOptions(min_group=1)
NAMES = tuple(constraint.name for constraint in CONSTRAINTS)
BINS = 64
GRID = 10_000
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


class Scored(ClassifierMixin, BaseEstimator):
    """A model whose only feature is its score."""

    def __init__(self) -> None:
        self.classes_ = np.array([0, 1])

    def fit(self, X: Any, y: Any) -> "Scored":  # noqa: N803
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        score = np.asarray(X)[:, 0]
        return np.stack([1 - score, score], axis=1)

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        return (np.asarray(X)[:, 0] >= 0.5).astype(int)


def theirs(rows: Rows, constraint: str, tolerance: float | None = None) -> float:
    """Expected accuracy of fairlearn's solution."""
    y, score, group = rows
    model = ThresholdOptimizer(
        estimator=Scored(), constraints=constraint, objective="accuracy_score", prefit=True,
        grid_size=GRID, predict_method="predict_proba", tol=tolerance,
    )  # fmt: skip
    model.fit(score[:, None], y, sensitive_features=group)
    chances = model._pmf_predict(score[:, None], sensitive_features=group)
    return float(np.asarray(chances)[np.arange(len(y)), y].mean())


def tally_of(rows: Rows, *, groups: int = 3, weight: np.ndarray | None = None) -> Tally:
    return scored.tally_of(*rows, bins=BINS, weight=weight, names=tuple("abcdef"[:groups]))


def sample(seed: int, n: int = 600, groups: int = 3) -> Rows:
    """Rows with scores on centres of bins; groups differ in base rate and in ranking."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    y = (rng.random(n) < 0.25 + 0.2 * group).astype(int)
    latent = np.clip(rng.normal(0.4 + (0.35 - 0.1 * group) * y, 0.2), 0, 1)
    return y, (scored.bin_of(latent, BINS) + 0.5) / BINS, group


def by_name(tally: Tally, options: AuditOptions = OPTIONS) -> dict[str, Frontier]:
    return {frontier.constraint: frontier for frontier in frontiers(tally, options)}


def outcome(rows: Rows, thresholds: Any) -> tuple[float, dict[str, float]]:
    """Expected accuracy, and gap of each constraint, of using the thresholds on the rows."""
    y, score, group = rows
    chance = np.zeros(len(y))
    for g, pairs in enumerate(thresholds):
        for threshold, share in pairs:
            chance += share * ((score >= threshold) & (group == g))
    right = float(np.where(y == 1, chance, 1 - chance).mean())
    groups = range(len(thresholds))
    kinds = {"demographic_parity": y >= 0, "true_positive_rate_parity": y == 1}
    kinds["false_positive_rate_parity"] = y == 0
    gaps = {
        name: float(np.ptp([chance[of & (group == g)].mean() for g in groups]))
        for name, of in kinds.items()
    }
    odds = max(gaps["true_positive_rate_parity"], gaps["false_positive_rate_parity"])
    return right, {**gaps, "equalized_odds": odds}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("constraint", NAMES)
def test_without_a_gap_it_is_fairlearns_optimum(constraint: str, seed: int) -> None:
    rows = sample(seed)
    ours = by_name(tally_of(rows))[constraint].points[0]
    expected = theirs(rows, constraint)
    assert ours.gap == 0
    assert ours.accuracy == pytest.approx(expected, abs=1e-3)
    assert ours.accuracy >= expected - 1e-7  # theirs is bound to a grid, ours is not


@pytest.mark.parametrize("constraint", NAMES[:3])
def test_within_a_gap_it_is_fairlearns_optimum(constraint: str) -> None:
    """Fairlearn relaxes every constraint but equalized odds."""
    rows = sample(2)
    for point in by_name(tally_of(rows))[constraint].points[3::4]:
        expected = theirs(rows, constraint, point.gap)
        assert point.accuracy == pytest.approx(expected, abs=1e-3)
        assert point.accuracy >= expected - 1e-3 / 2


@pytest.mark.parametrize("constraint", NAMES)
def test_thresholds_do_what_is_said(constraint: str) -> None:
    """The accuracy is reached, the gap is kept, and no more is spent than allowed."""
    rows = sample(3)
    frontier = by_name(tally_of(rows))[constraint]
    assert len(frontier.points) == 11
    for point in frontier.points:
        for pairs in point.thresholds:
            assert sum(share for _, share in pairs) == pytest.approx(1)
            assert all(0 <= threshold <= 1 + 1 / BINS and share > 0 for threshold, share in pairs)
            assert len(pairs) <= 3
        accuracy, gaps = outcome(rows, point.thresholds)
        assert accuracy == pytest.approx(point.accuracy, abs=1e-6)
        assert gaps[constraint] <= point.gap + 1e-6


@pytest.mark.parametrize("constraint", NAMES)
def test_it_never_falls_and_starts_no_lower_than_the_predictions(constraint: str) -> None:
    rows = sample(4)
    frontier = by_name(tally_of(rows))[constraint]
    one_for_all = tuple(((0.5, 1.0),) for _ in frontier.groups)
    accuracy, gaps = outcome(rows, one_for_all)
    assert frontier.now == pytest.approx((gaps[constraint], accuracy))
    assert frontier.points[-1].gap == pytest.approx(frontier.now[0])
    # One half is an edge of the bins, so the predictions themselves are within reach.
    assert frontier.points[-1].accuracy >= frontier.now[1] - 1e-7
    assert all(b.accuracy >= a.accuracy - 1e-7 for a, b in pairwise(frontier.points))


def test_equalized_odds_within_a_gap_beats_every_mix_of_a_search() -> None:
    """No pair of mixes on a fine grid within the gap is more accurate, and one comes close."""
    rows = sample(5, 300, groups=2)
    point = by_name(tally_of(rows, groups=2))["equalized_odds"].points[4]
    y, score, group = rows
    table = [
        np.stack([np.bincount((score[(group == g) & (y == k)] * BINS).astype(int), minlength=BINS)
                  for k in (0, 1)]) for g in (0, 1)
    ]  # fmt: skip
    mixes = []
    for histogram in table:
        hull = roc_hull(histogram.astype(float), equal_bins(BINS))
        share = np.linspace(0, 1, 41)[:, None]
        edges = [(1 - share) * a + share * b for a, b in pairwise(np.stack(
            [hull.alarms, hull.hits], axis=1))]  # fmt: skip
        top = np.concatenate(edges)
        floor = top[:, :1] * hull.positives / hull.negatives  # the diagonal, in counts
        deep = [np.stack([top[:, 0], top[:, 1] - d * (top[:, 1] - floor[:, 0])], 1)
                for d in np.linspace(0, 0.3, 7)]  # fmt: skip
        mixes.append((np.concatenate(deep), hull))
    (first, a), (second, b) = mixes
    scale = [np.array([h.negatives, h.positives]) for h in (a, b)]
    apart = np.abs((first / scale[0])[:, None] - (second / scale[1])[None]).max(axis=-1)
    gain = (first[:, 1] - first[:, 0])[:, None] + (second[:, 1] - second[:, 0])[None]
    best = (gain[apart <= point.gap].max() + a.negatives + b.negatives) / len(y)
    assert best <= point.accuracy + 1e-7
    assert best == pytest.approx(point.accuracy, abs=5e-3)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 7), st.integers(0, 2)), min_size=9))
@settings(max_examples=15, deadline=None)
def test_any_rows_give_frontiers_that_hold(drawn: list[tuple[int, int, int]]) -> None:
    """Single-class groups included: they are free of a rate that they do not have."""
    y, step, group = (np.array(column) for column in zip(*drawn, strict=True))
    rows = (y, (step + 0.5) / 8, group)
    for frontier in frontiers(tally_of(rows), OPTIONS):
        assert 0 <= frontier.points[0].accuracy <= 1 + 1e-9
        assert all(b.accuracy >= a.accuracy - 1e-7 for a, b in pairwise(frontier.points))
        assert frontier.points[-1].accuracy >= frontier.now[1] - 1e-7


def test_a_group_of_one_class_is_free_of_the_rate_it_lacks() -> None:
    y, score, group = sample(6)
    y[group == 1] = 0
    found = by_name(tally_of((y, score, group)))
    point = found["true_positive_rate_parity"].points[0]
    alone = by_name(tally_of((y, score, group)))["demographic_parity"].points[0]
    assert [pair[1] for pair in point.thresholds[1]] == [1.0]
    assert point.thresholds[1][0][0] > score[group == 1].max()  # nobody of it is selected
    assert point.accuracy > alone.accuracy


def test_weights_and_merging() -> None:
    """A weight of 3 is three rows, and two sites are one."""
    rows = sample(7, 200)
    weight = np.where(rows[2] == 0, 3.0, 1.0)
    repeated = tuple(np.repeat(column, weight.astype(int)) for column in rows)
    for ours, expected in zip(
        frontiers(tally_of(rows, weight=weight), OPTIONS),
        frontiers(tally_of(repeated), OPTIONS),
        strict=True,
    ):
        assert ours.now == pytest.approx(expected.now)
        for a, b in zip(ours.points, expected.points, strict=True):
            assert (a.gap, a.accuracy) == pytest.approx((b.gap, b.accuracy), abs=1e-7)
    halves = [tally_of(tuple(column[i::2] for column in rows)) for i in (0, 1)]
    assert frontiers(halves[0] + halves[1], OPTIONS) == frontiers(tally_of(rows), OPTIONS)


def test_where_there_is_no_frontier() -> None:
    rows = sample(8, 100)
    tally = tally_of(rows)
    assert frontiers(replace(tally, scores=None), OPTIONS) == ()
    assert frontiers(replace(tally, confusion=None), OPTIONS) == ()
    assert frontiers(tally, AuditOptions(min_group=60)) == ()
    one_group = tally_of((rows[0], rows[1], 0 * rows[2]))
    assert frontiers(one_group, OPTIONS) == ()
    assert frontiers(tally_of(rows, weight=np.zeros(100)), OPTIONS) == ()
    several = replace(tally.schema, classes=("maybe", "0", "1"))
    assert frontiers(tally.under(several), OPTIONS) == ()


def test_small_groups_are_left_out() -> None:
    y, score, group = sample(9, 300)
    group = np.where(group == 2, 1, group)
    group[:3] = 2
    found = by_name(tally_of((y, score, group)), AuditOptions(min_group=4))
    rest = by_name(tally_of((y[3:], score[3:], group[3:])))
    assert found["demographic_parity"].groups == ("a", "b")
    assert found == rest


def test_predictions_that_are_fair_already_leave_one_point() -> None:
    y = np.array([0, 1, 0, 1])
    rows = (y, np.array([0.2, 0.8, 0.2, 0.8]), np.array([0, 0, 1, 1]))
    found = by_name(tally_of(rows))
    assert [len(frontier.points) for frontier in found.values()] == [1] * 4
    assert found["equalized_odds"].points[0].accuracy == pytest.approx(1)


def test_a_hull_by_hand() -> None:
    """From the top: a hit, an alarm, a hit; the alarm's corner lies below the line."""
    hull = roc_hull(np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]), equal_bins(4))
    assert hull.thresholds.tolist() == [NOBODY, 0.75, 0.25, 0.0]
    assert hull.alarms.tolist() == [0, 0, 1, 2]
    assert hull.hits.tolist() == [0, 1, 2, 2]
    (point,) = best_points([hull], ("selection",), [0.0])
    assert point.accuracy == pytest.approx(0.75)
