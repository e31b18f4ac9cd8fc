"""Scores as they are: scikit-learn's values wherever they lie, from any split, order and file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv, parquet

from evaluation.audit.columns import Place
from evaluation.audit.count_labels import Labels
from evaluation.audit.counts_file import encode_counts
from evaluation.audit.frontier import _upper, frontiers
from evaluation.audit.gate import judge, parse_condition
from evaluation.audit.histograms import KINDS
from evaluation.audit.leading_bits import surplus
from evaluation.audit.noise import protect
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import ScoreComparison
from evaluation.audit.read import ReadSettings, read_frame, tally_arrays, tally_files
from evaluation.audit.release import Release
from evaluation.audit.report.document import document
from evaluation.audit.report.page import render
from evaluation.audit.run import audit
from evaluation.audit.scores import score_comparisons
from evaluation.audit.tally import Tally
from evaluation.errors import InputError
from tests.evaluation.audit.scored import OPTIONS
from tests.evaluation.audit.test_scores import ORACLES, true_values

EDGES = [0.0, -0.0, 1.0, 5e-324, 1e-10, 2e-10, 0.2, 1 / 3, 0.5, np.nextafter(0.5, 1), 1 - 2**-53]


@st.composite
def rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes of both kinds, scores of any size with ties, and weights."""
    n = draw(st.integers(2, 30))
    y = np.array([0, 1, *draw(st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2))])
    one = st.one_of(st.sampled_from(EDGES), st.floats(0, 1), st.floats(0.5, 0.5001))
    score = np.array(draw(st.lists(one, min_size=n, max_size=n)))
    weight = draw(st.lists(st.sampled_from([0.25, 1.0, 3.0]), min_size=n, max_size=n))
    return y, score, np.array(weight)


def tally_of(y: Any, score: Any, group: Any = None, **how: Any) -> Tally:
    group = np.zeros(len(y), int) if group is None else group
    return tally_arrays(y, score=score, sensitive=group, positive=1, classes=(0, 1), **how)


def compared(tally: Tally, options: AuditOptions = OPTIONS) -> ScoreComparison:
    (found,) = score_comparisons(tally, options)
    return found


def values(tally: Tally) -> dict[str, float]:
    return {metric.name: metric.overall.value for metric in compared(tally).metrics}


@given(rows(), st.booleans())
@settings(deadline=None, max_examples=50)
def test_metrics_are_scikit_learns(own: tuple[np.ndarray, ...], weighted: bool) -> None:
    y, score, weight = own
    weight = weight if weighted else np.ones(len(y))
    tally = tally_of(y, score, weight=weight if weighted else None)
    assert values(tally) == pytest.approx(true_values(y, score, weight), abs=1e-9)
    assert all(metric.overall.binning == 0 for metric in compared(tally).metrics)


@given(rows(), st.sampled_from([lambda s: s / 2, lambda s: s / 2 + 0.5, lambda s: s * 2.0**-40]))
@settings(deadline=None, max_examples=50)
def test_a_ranking_is_judged_by_order_alone(own: tuple[np.ndarray, ...], moved: Any) -> None:
    y, score, _ = own
    score = np.round(score, 9)  # so that halving keeps scores apart
    before, after = (values(tally_of(y, s)) for s in (score, moved(score)))
    for name in ("roc_auc", "average_precision"):
        assert after[name] == pytest.approx(before[name], abs=1e-12)


@given(rows(), st.integers(1, 29), st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 8, 100]))
@settings(deadline=None, max_examples=50)
def test_the_same_rows_give_the_same_cells(
    own: tuple[np.ndarray, ...], cut: int, seed: int, limit: int
) -> None:
    """In any order, split anywhere, in one piece or merged; and however few cells fit."""
    y, score, weight = own
    order = np.random.default_rng(seed).permutation(len(y))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surplus, "__defaults__", (limit,))
        whole = tally_of(y, score, weight=weight)
        parts = [tally_of(y[at], score[at], weight=weight[at]) for at in (order[:cut], order[cut:])]
        both = parts[0] + parts[1]
        gather = Labels(ReadSettings("y", score="s", sensitive=("g",), weight="w", positive=1,
                                     classes=(0, 1)))  # fmt: skip
        for at in (order[:cut], order[cut:]):
            columns = {"y": y[at], "s": score[at], "w": weight[at], "g": 0 * at}
            gather.add(pa.record_batch(columns), Place("table"))
        streamed = gather.tally()
        for other in (both, parts[1] + parts[0], streamed):
            assert other.cells is not None
            assert whole.cells is not None
            assert other.scores is not None
            assert whole.scores is not None
            assert other.cells.dropped == whole.cells.dropped
            assert other.cells.codes.tolist() == whole.cells.codes.tolist()
            assert other.scores.keys.tolist() == whole.scores.keys.tolist()
            assert (other.scores.values == whole.scores.values).all()


@given(rows(), st.booleans(), st.integers(2, 12))
@settings(deadline=None, max_examples=50)
def test_cells_of_several_scores_state_their_error(
    own: tuple[np.ndarray, ...], weighted: bool, limit: int
) -> None:
    y, score, weight = own
    score = score / 2 + 0.25  # within two octaves: a cell is never more than one of them
    weight = weight if weighted else np.ones(len(y))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surplus, "__defaults__", (limit,))
        tally = tally_of(y, score, weight=weight if weighted else None)
    assert len(tally.cells or ()) <= limit
    true = true_values(y, score, weight)
    for metric in compared(tally).metrics:
        own_ = metric.overall
        assert abs(own_.value - true[metric.name]) <= own_.binning + 1e-9, metric.name


def test_two_hundred_thousand_scores_fit_closely() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200_000)
    for score in (rng.random(200_000), 0.5 + rng.random(200_000) * 1e-4, rng.random(200_000) ** 9):
        tally = tally_of(y, score)
        assert 2**15 < len(tally.cells or ()) <= 2**17
        for metric in compared(tally).metrics:
            if metric.name in ORACLES:
                true = ORACLES[metric.name](y, score)
                assert abs(metric.overall.value - true) <= metric.overall.binning < 1e-4


def test_several_classes_share_the_cells() -> None:
    rng = np.random.default_rng(1)
    y, scores = rng.integers(0, 3, 500), rng.dirichlet([1, 1, 1], 500)
    tally = tally_arrays(y, score={c: scores[:, c] for c in range(3)}, sensitive=0 * y)
    for c, found in enumerate(score_comparisons(tally, OPTIONS)):
        expected = true_values((y == c).astype(int), scores[:, c], np.ones(500))
        assert {m.name: m.overall.value for m in found.metrics} == pytest.approx(expected)


def test_files_of_float32_give_the_audit_of_their_text(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    table = pa.table({
        "y": rng.integers(0, 2, 300), "s": rng.random(300).astype(np.float32),
        "g": rng.integers(0, 2, 300),
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "a.parquet")
    csv.write_csv(table, tmp_path / "a.csv")
    how = ReadSettings("y", score="s", sensitive=("g",), positive=1)
    first, second = (tally_files([tmp_path / name], how) for name in ("a.parquet", "a.csv"))
    options = AuditOptions(replicates=50)
    assert score_comparisons(first, options) == score_comparisons(second, options)


CROWDED = ([1, 0, 1, 0], [0.0009, 0.0001, 0.0001, 0.0009], ["a", "a", "b", "b"])
"""Ranked right in one group and wrong in the other, within one bin of 1,024."""


def test_crowded_scores_are_told_apart() -> None:
    found = compared(tally_of(*CROWDED), replace(OPTIONS, replicates=200))
    auc = found.metrics[0]
    assert [own.value for own in auc.groups] == [1, 0]
    gap = found.gaps[0].estimate
    assert (gap.value, gap.low, gap.high) == (1, 0, 1)  # of one pair each, nothing is certain


@pytest.mark.parametrize("replicates", [0, 200])
def test_bins_that_hide_everything_say_so(replicates: int) -> None:
    options = AuditOptions(min_group=1, replicates=replicates, depth=0)
    report = audit(tally_of(*CROWDED, bins=1024), options)
    auc = report.scores[0].metrics[0]
    assert [(own.value, own.binning) for own in auc.groups] == [(0.5, 0.5)] * 2
    gap = report.scores[0].gaps[0].estimate
    assert (gap.value, gap.binning) == (0, 1)
    if replicates:
        assert (gap.low, gap.high) == (0, 1)
        assert [(own.low, own.high) for own in auc.groups] == [(0, 1)] * 2
    for text in ("roc_auc_difference > 0.1", "min(roc_auc) < 0.4", "max(roc_auc) > 0.9"):
        (verdict,) = judge(report, [parse_condition(text)])
        assert not verdict.held
        assert "may be off by" in verdict.message
        assert "more --bins" in verdict.message


def test_a_group_that_bins_may_put_lowest_decides() -> None:
    """Group a has AUC 0.75 for certain; b has 1 in bins, and may have 0.5."""
    y = [1, 1, 0, 0, 1, 0]
    score = [0.9, 0.3, 0.5, 0.1, 0.7000001, 0.7]
    report = audit(
        tally_of(y, score, ["a"] * 4 + ["b"] * 2, bins=64),
        AuditOptions(min_group=1, replicates=0, depth=0),
    )
    (low, high) = judge(report, [parse_condition("min(roc_auc) < 0.4"),
                                 parse_condition("max(roc_auc) > 1")])  # fmt: skip
    assert not low.held
    assert "for b" in low.message
    assert high.held


def test_scores_of_1e_minus_10_rank() -> None:
    y = np.repeat([1, 0], 30)
    tally = tally_of(y, y * 1e-10, np.tile([0, 1], 30), threshold=1e-10)
    found = compared(tally, replace(OPTIONS, replicates=200))
    auc, precision = found.metrics[:2]
    assert [own.value for own in (*auc.groups, *precision.groups)] == [1] * 4
    assert found.gaps[0].estimate.value == 0
    assert found.gaps[0].estimate.high > 0.1
    assert tally.counts([]).values.tolist() == [[[30, 0], [0, 30]]]


def test_thresholds_lie_between_the_scores() -> None:
    """Shortest numbers that select the same rows, in advice that bins could not give."""
    tally = tally_of(*CROWDED, threshold=0.5)
    found = frontiers(tally, OPTIONS)[0]
    assert found.points[0].accuracy == 0.75
    assert found.points[0].thresholds[0] == ((0.0009, 1.0),)
    page = render(document(audit(tally, AuditOptions(min_group=1, replicates=0, depth=0))))
    assert "<td>0.0009</td>" in page
    assert "nobody" in page


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_the_hull_is_that_of_all_points(steps: list[tuple[int, int]]) -> None:
    held = [step for step in steps if any(step)] or [(1, 1)]
    x, y = (np.concatenate([[0.0], np.cumsum(own)]) for own in zip(*held, strict=True))
    corners = set(_upper(x, y).tolist())
    for i in range(1, len(x) - 1):
        above = all(
            (y[i] - y[a]) * (x[c] - x[a]) > (y[c] - y[a]) * (x[i] - x[a])
            for a in range(i) for c in range(i + 1, len(x))
        )  # fmt: skip
        assert (i in corners) == above
    assert {0, len(x) - 1} <= corners


def test_rounding_beyond_one_is_clipped_and_said() -> None:
    table = {"y": [1, 0, 1, 0], "s": [1.0000001, -1e-7, 0.9, 0.1], "g": ["a", "a", "b", "b"]}
    how = ReadSettings("y", score="s", sensitive=("g",), positive=1)
    reading = read_frame(table, how)
    assert reading.notes == ("2 scores in 's' lay beyond 0 or 1 by rounding, and count as 0 or 1",)
    assert reading.tally.grid.low.tolist() == [0, 0.1, 0.9, 1]
    with pytest.raises(InputError, match=r"row 1, column 's': score 1\.00001 is outside 0 to 1"):
        read_frame(table | {"s": [1.00001, 0, 0.9, 0.1]}, how)


def test_scores_as_they_are_do_not_leave_a_site() -> None:
    tally = tally_of(*CROWDED)
    with pytest.raises(InputError, match="count them in bins before they leave the site"):
        encode_counts(tally, (Release(),))
    with pytest.raises(InputError, match="count them in bins before they leave the site"):
        protect(tally)
    with pytest.raises(InputError, match="number of bins is 8 in one and 'exact' in the other"):
        tally + tally_of(*CROWDED, bins=8)


@pytest.mark.parametrize(
    ("shape", "bins"),
    [("crowded", None), ("tiny", None), ("tied", None), ("mixed", None), ("crowded", 1024)],
)
def test_intervals_hold_the_truth_wherever_scores_lie(shape: str, bins: int | None) -> None:
    """Binormal scores of two groups through a monotone map: the AUC and its gap are known."""
    shifts = np.array([1.5, 0.8])
    normal = NormalDist()
    true = np.array([normal.cdf(s / 2**0.5) for s in shifts])
    rng, held = np.random.default_rng(3), []
    for _ in range(40):
        group = np.arange(240) % 2
        y = rng.integers(0, 2, 240)
        latent = rng.normal(shifts[group] * y, 1)
        unit = 0.5 + 0.5 * np.tanh(latent / 2)
        score = {
            "crowded": 0.5 + unit * 1e-4,
            "tiny": unit * 1e-10,
            "tied": unit,
            "mixed": np.where(group == 0, unit, 0.5 + unit * 1e-4),
        }[shape]
        if shape == "tied":
            score = np.round(score, 2)
        found = compared(
            tally_of(y, score, group, bins=bins), AuditOptions(min_group=1, replicates=100)
        )
        ends = [*found.metrics[0].groups, found.gaps[0].estimate]
        truth = [*true, true.max() - true.min()]
        held.append([e.low <= t <= e.high for e, t in zip(ends, truth, strict=True)])
        assert bins is not None or all(0 < e.high - e.low < 0.45 for e in ends)
    assert np.mean(held, axis=0).min() > 0.88


def test_constant_scores_leave_no_doubt_about_one_half() -> None:
    y, group = np.tile([0, 1], 50), np.repeat([0, 1], 50)
    found = compared(tally_of(y, np.full(100, 0.3), group), replace(OPTIONS, replicates=100))
    assert [own.value for own in found.metrics[0].groups] == [0.5, 0.5]
    assert found.gaps[0].estimate.value == 0
    assert {kind.name for kind in KINDS} == {metric.name for metric in found.metrics}
