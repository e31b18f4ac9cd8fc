"""Noise of the right law on every cell, small cells left out, negative counts made usable."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from evaluation.audit.discrete_noise import (
    discrete_gaussian,
    discrete_laplace,
    gaussian_variance,
    laplace_scale,
    laplace_variance,
)
from evaluation.audit.noise import Declared, _to_simplex, protect, without_negative
from evaluation.audit.release import Release, release_notes
from evaluation.audit.schema import MISSING, Axis, Schema
from evaluation.audit.sparse import SparseCounts
from evaluation.audit.tally import Tally
from evaluation.errors import InputError


def _tally(**changes: object) -> Tally:
    """Nine rows of two groups; a binary task with a score in two bins."""
    axes = (Axis("sex", ("f", "m")),)
    schema = Schema("classification", ("no", "yes"), axes, positive="yes", bins=2)
    confusion = SparseCounts((1, 2, 2, 2), np.array([0, 3, 5]), np.array([[5], [1], [3]]))
    scores = SparseCounts((1, 2, 1, 2, 2), np.array([0, 3, 5]), np.array([[5], [1], [3]]))
    return Tally(schema, confusion, scores)


DECLARED = Declared(("no", "yes"), {"sex": ("f", "m", "x")}, missing=True)

Law = Callable[[int], float]


@pytest.mark.parametrize(
    ("draw", "parameter", "law"),
    [
        (discrete_laplace, Fraction(1), lambda x: math.exp(-abs(x))),
        (discrete_laplace, Fraction(7, 3), lambda x: math.exp(-abs(x) * 3 / 7)),
        (discrete_laplace, Fraction(2, 5), lambda x: math.exp(-abs(x) * 5 / 2)),
        (discrete_gaussian, Fraction(1, 3), lambda x: math.exp(-(x**2) * 1.5)),
        (discrete_gaussian, Fraction(9, 2), lambda x: math.exp(-(x**2) / 9)),
        (discrete_gaussian, Fraction(16), lambda x: math.exp(-(x**2) / 32)),
    ],
)
def test_noise_has_its_law(
    draw: Callable[[Fraction, Random], int], parameter: Fraction, law: Law
) -> None:
    source, size = Random(7), 4000
    found = np.array([draw(parameter, source) for _ in range(size)])
    weights = {x: law(x) for x in range(-200, 201)}
    expected = {x: size * w / sum(weights.values()) for x, w in weights.items()}
    common = [x for x, e in expected.items() if e >= 5]
    seen = [int((found == x).sum()) for x in common]
    rest = size - sum(seen), size - sum(expected[x] for x in common)
    assert chisquare([*seen, rest[0]], [*(expected[x] for x in common), rest[1]]).pvalue > 1e-3


def test_laplace_variance_is_that_of_its_law() -> None:
    scale = Fraction(7, 3)
    weights = {x: math.exp(-abs(x) / float(scale)) for x in range(-300, 301)}
    expected = sum(w * x**2 for x, w in weights.items()) / sum(weights.values())
    assert laplace_variance(scale) == pytest.approx(expected, rel=1e-12)
    assert laplace_scale(0.1, 2) == 20


def _exact_delta(variance: float, epsilon: float, touched: int) -> float:
    """δ of the discrete Gaussian where a row changes `touched` cells by 1, by enumeration."""
    reach = int(12 * math.sqrt(variance)) + 5
    one = np.exp(-(np.arange(-reach, reach + 1.0) ** 2) / (2 * variance))
    one, total = one / one.sum(), np.ones(1)
    for _ in range(touched):
        total = np.convolve(total, one)
    # The likelihood ratio of shifting all cells depends on the sum of their noises alone.
    at = np.arange(len(total)) - touched * reach
    loss = (2 * at + touched) / (2 * variance)
    return float((total * np.clip(1 - np.exp(epsilon - loss), 0, None)).sum())


@pytest.mark.parametrize("touched", [1, 2, 5])
@pytest.mark.parametrize(("epsilon", "delta"), [(0.3, 1e-5), (1.0, 1e-6), (4.0, 1e-3)])
def test_gaussian_noise_keeps_its_promise_and_not_much_more(
    epsilon: float, delta: float, touched: int
) -> None:
    variance = float(gaussian_variance(epsilon, delta, touched))
    assert _exact_delta(variance, epsilon, touched) <= delta
    assert _exact_delta(variance / 1.6, epsilon, touched) > delta


@pytest.mark.parametrize("delta", [None, 1e-6])
def test_every_declared_cell_gets_noise(delta: float | None) -> None:
    tally = _tally()
    noised, release = protect(tally, epsilon=1.0, delta=delta, declared=DECLARED, source=Random(3))
    assert noised.schema.axes[0].levels == ("f", "m", "x", MISSING)
    assert noised.confusion is not None
    assert noised.scores is not None
    assert len(noised.confusion.keys) == 4 * 2 * 2
    assert len(noised.scores.keys) == 4 * 2 * 2
    whole = tally.under(noised.schema)
    assert whole.confusion is not None
    added = noised.confusion.values.ravel() - whole.confusion.dense().ravel()
    assert (added != 0).sum() > 8
    assert release.touched == 2
    assert release.cells == 32
    assert release.mechanism == ("discrete laplace" if delta is None else "discrete gaussian")
    assert 0.5 < np.abs(added).mean() / release.deviation < 1.2
    again, _ = protect(tally, epsilon=1.0, delta=delta, declared=DECLARED, source=Random(3))
    assert again.confusion is not None
    assert np.array_equal(again.confusion.values, noised.confusion.values)


def test_noise_of_the_system_differs_from_time_to_time() -> None:
    a, b = (protect(_tally(), epsilon=0.1, declared=DECLARED)[0] for _ in range(2))
    assert a.confusion is not None
    assert b.confusion is not None
    assert not np.array_equal(a.confusion.values, b.confusion.values)


def test_empty_cells_are_as_noised_as_others_whatever_the_rows() -> None:
    empty = SparseCounts((1, 2, 2, 2), np.zeros(0, np.int64), np.zeros((0, 1), np.int64))
    none = Tally(_tally().schema, empty, SparseCounts((1, 2, 1, 2, 2), empty.keys, empty.values))
    noised, _ = protect(none, epsilon=0.5, declared=DECLARED, source=Random(1))
    assert noised.confusion is not None
    assert len(noised.confusion.keys) == 16
    assert noised.confusion.values.any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epsilon": 1.0}, "state all classes"),
        ({"epsilon": 1.0, "declared": Declared(("no", "yes"))}, "all values of 'sex'"),
        (
            {"epsilon": 1.0, "declared": Declared(("no", "yes"), {"sex": ("f", "x")})},
            "value of 'sex' 'm', not declared",
        ),
        (
            {"epsilon": 1.0, "declared": Declared(("no", "maybe"), {"sex": ("f", "m")})},
            "class 'yes', not declared",
        ),
        ({"epsilon": 0.0, "declared": DECLARED}, "epsilon = 0"),
        ({"epsilon": math.inf, "declared": DECLARED}, "epsilon = inf"),
        ({"epsilon": 1.0, "delta": 1.0, "declared": DECLARED}, "delta = 1"),
        ({"delta": 1e-6}, "delta without epsilon"),
        ({"epsilon": 1.0, "min_cell": 5, "declared": DECLARED}, "give one of them"),
    ],
)  # fmt: skip
def test_what_cannot_be_protected_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        protect(_tally(), **options)  # type: ignore[arg-type]


def test_too_large_a_cross_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluation.audit.noise.MOST_CELLS", 31)
    with pytest.raises(InputError, match=r"32 cells, and all of them get noise: at most 31"):
        protect(_tally(), epsilon=1.0, declared=DECLARED)


def test_weights_errors_and_undeclared_clients_cannot_be_noised() -> None:
    weighted = Schema("classification", ("no", "yes"), (), weighted=True)
    regression = Schema("regression", (), ())
    for schema, said in ((weighted, "weights"), (regression, "errors of a regression")):
        with pytest.raises(InputError, match=said):
            protect(Tally(schema), epsilon=1.0, declared=Declared(("no", "yes")))
    confusion = SparseCounts((2, 2, 2), np.array([0]), np.array([[1]]))
    schema = Schema("classification", ("no", "yes"), (), ("a", "b"), columns=(("client", "site"),))
    with pytest.raises(InputError, match="all clients"):
        protect(Tally(schema, confusion), epsilon=1.0, declared=Declared(("no", "yes")))
    declared = Declared(("no", "yes"), clients=("b", "a", "c"))
    noised, _ = protect(Tally(schema, confusion), epsilon=1.0, declared=declared)
    assert noised.schema.clients == ("a", "b", "c")


def test_small_cells_are_left_out_and_their_number_is_rounded() -> None:
    kept, release = protect(_tally(), min_cell=5)
    assert kept.confusion is not None
    assert kept.scores is not None
    assert kept.confusion.values.tolist() == [[5]]
    assert kept.scores.values.tolist() == [[5]]
    assert release == Release(min_cell=5, dropped_cells=5, dropped_rows=10)
    assert protect(_tally())[1] == Release()
    assert "fewer than 5 rows" in release_notes([Release(), release])[0]


def test_noise_is_said_in_words() -> None:
    noised = Release("discrete laplace", epsilon=0.5, deviation=3.0, touched=1, cells=16)
    notes = release_notes([noised, noised])
    assert notes[0].startswith("2 of 2 sites released discrete laplace noise, ε = 0.5")
    assert "standard deviation 4.24" in notes[1]
    assert len(release_notes([noised, Release(min_cell=3), Release()])) == 5
    assert release_notes([Release()]) == ()


@given(values=st.lists(st.integers(-20, 30), min_size=1, max_size=12))
def test_negative_counts_become_the_nearest_with_the_same_total(values: list[int]) -> None:
    found = _to_simplex(np.array(values, np.int64))
    assert found.min() >= 0
    assert found.sum() == max(0, sum(values))
    if sum(values) > 0:
        # The real projection takes one number off all; whole rows differ by less than one.
        low, high = min(values) - sum(values) - 1.0, float(max(values))
        for _ in range(100):
            middle = (low + high) / 2
            many = np.clip(np.array(values) - middle, 0, None).sum() > sum(values)
            low, high = (middle, high) if many else (low, middle)
        assert np.abs(found - np.clip(np.array(values) - low, 0, None)).max() < 1 + 1e-9


def test_exact_counts_are_not_touched() -> None:
    tally = _tally()
    assert without_negative(tally).confusion is tally.confusion
    noised, _ = protect(tally, epsilon=0.3, declared=DECLARED, source=Random(2))
    usable = without_negative(noised)
    assert noised.confusion is not None
    assert noised.confusion.values.min() < 0
    assert usable.confusion is not None
    assert usable.confusion.values.min() > 0
    assert usable.n == max(0, noised.n)
    assert usable.counts(["sex"]).n == usable.n


def _two_views(confusion: list[int], positive: list[int], negative: list[int]) -> Tally:
    """One group; confusion cells tn, fp, fn, tp, and bins of the same rows by class."""
    axes = (Axis("sex", ("f",)),)
    bins = len(positive)
    schema = Schema("classification", ("no", "yes"), axes, positive="yes", bins=bins)
    cells = SparseCounts((1, 1, 2, 2), np.arange(4), np.array(confusion)[:, None])
    rows = np.array([*negative, *positive])
    scores = SparseCounts((1, 1, 1, 2, bins), np.arange(2 * bins), rows[:, None])
    return Tally(schema, cells, scores)


def test_histograms_do_not_tell_a_confusion_cell_that_was_left_out() -> None:
    """2 false negatives: 12 rows of the class in bins, less 10 true positives."""
    kept, _ = protect(_two_views([9, 9, 2, 10], [6, 6, 0], [6, 6, 6]), min_cell=5)
    assert kept.confusion is not None
    assert kept.scores is not None
    assert kept.confusion.dense().ravel().tolist() == [9, 9, 0, 10]
    assert kept.scores.dense().reshape(2, 3).tolist() == [[6, 6, 6], [0, 0, 0]]


def test_confusion_counts_do_not_tell_a_bin_that_was_left_out() -> None:
    """A bin of 2 rows: 18 rows of the class, less 16 in the other bins; the next smallest goes."""
    kept, _ = protect(_two_views([9, 9, 8, 10], [2, 9, 7], [1, 2, 15]), min_cell=5)
    assert kept.scores is not None
    assert kept.scores.dense().reshape(2, 3).tolist() == [[0, 0, 0], [0, 9, 0]]


@given(st.lists(st.integers(0, 12), min_size=8, max_size=8), st.integers(2, 6))
def test_what_is_left_out_of_a_class_is_nothing_or_enough(bins: list[int], least: int) -> None:
    negative, positive = bins[:4], bins[4:]
    split = [0, sum(negative), sum(positive), 0]
    kept, _ = protect(_two_views(split, positive, negative), min_cell=least)
    assert kept.scores is not None
    for before, after in zip((negative, positive), kept.scores.dense().reshape(2, 4), strict=True):
        lost = sum(before) - int(after.sum())
        assert lost == 0 or lost >= least or sum(before) < least


def test_a_count_of_0_is_said_to_be_uncertain() -> None:
    notes = release_notes([Release(min_cell=5, dropped_cells=5, dropped_rows=5)])
    assert "a count of 0 may be any number below 5" in notes[1]
