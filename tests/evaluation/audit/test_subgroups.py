"""The search for the worst subgroups: what was planted, once; nothing where nothing is."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta, binom

from evaluation.audit.options import AuditOptions
from evaluation.audit.schema import Axis, Schema
from evaluation.audit.sparse import SparseCounts
from evaluation.audit.subgroup_bounds import ErrorJudge, error_rates
from evaluation.audit.subgroup_cells import candidates_of, cells_of
from evaluation.audit.subgroups import search_subgroups
from evaluation.audit.tally import Tally
from evaluation.errors import InputError
from tests.evaluation.audit.tallies import errors_tally

Ints = NDArray[np.int64]


def _axes(levels: tuple[int, ...]) -> tuple[Axis, ...]:
    return tuple(
        Axis(f"c{i}", tuple(f"v{level}" for level in range(n))) for i, n in enumerate(levels)
    )


def _tally(
    levels: tuple[int, ...],
    groups: Ints,
    true: Ints,
    predicted: Ints,
    *,
    classes: int = 2,
    client: Ints | None = None,
    weighted: bool = False,
) -> Tally:
    """Counts of rows; `groups` has one row per column."""
    names = tuple(f"k{i}" for i in range(classes))
    clients = ("a", "b") if client is not None else ("all",)
    schema = Schema("classification", names, _axes(levels), clients, weighted=weighted)
    client = np.zeros(len(true), np.int64) if client is None else client
    shape = (*schema.group_shape, classes, classes)
    flat = np.ravel_multi_index((client, *groups, true, predicted), shape)
    values = np.ones((len(true), 3 if weighted else 1), np.int64)
    return Tally(schema, SparseCounts.collect(shape, flat, values))


def _binary(
    levels: tuple[int, ...], rows: int, seed: int, rate: Any, positives: float = 0.4, **more: Any
) -> Tally:
    """Rows at random; `rate` is the error rate, or a function of groups and truth."""
    rng = np.random.default_rng(seed)
    groups = np.stack([rng.integers(0, n, rows) for n in levels])
    true = (rng.random(rows) < positives).astype(np.int64)
    wrong = rng.random(rows) < (rate(groups, true) if callable(rate) else rate)
    return _tally(levels, groups, true, np.where(wrong, 1 - true, true), **more)


def _wheres(tally: Tally, **options: Any) -> list[dict[str, str]]:
    return [dict(found.where) for found in search_subgroups(tally, AuditOptions(**options)).found]


def test_numbers_of_a_hand_made_subgroup() -> None:
    # 100 rows of v0 with 60 errors, 900 of v1 with 90; half of each are positive.
    counts = [((0, 0, 0), 20), ((0, 0, 1), 30), ((0, 1, 1), 20), ((0, 1, 0), 30)]
    counts += [((1, 0, 0), 405), ((1, 0, 1), 45), ((1, 1, 1), 405), ((1, 1, 0), 45)]
    index = np.repeat(np.array([key for key, _ in counts]), [n for _, n in counts], axis=0).T
    tally = _tally((2,), index[:1], index[1], index[2])
    search = search_subgroups(tally, AuditOptions())
    assert (search.candidates, search.comparisons) == (2, 6)
    (found,) = search.found
    assert found.where == (("c0", "v0"),)
    assert (found.n, found.metric, found.estimate.how) == (100, "error_rate", "exact")
    assert found.estimate.value == pytest.approx(0.6)
    assert found.rest == pytest.approx(0.1)
    assert found.explains == pytest.approx((60 - 100 * 0.1) / 150)
    alpha = 0.05 / 6
    low, high = beta.ppf(alpha, 60, 41), beta.isf(alpha, 91, 810)
    assert found.shortfall == pytest.approx(0.5 - np.hypot(0.6 - low, high - 0.1), abs=1e-9)
    assert found.estimate.low == pytest.approx(beta.ppf(alpha / 2, 60, 41), abs=1e-9)
    assert "2 subgroups" in search.note
    assert "6 comparisons" in search.note


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_subgroup_is_found_first_and_once(seed: int) -> None:
    def rate(groups: Ints, true: Ints) -> NDArray[np.float64]:
        return np.where((groups[0] == 1) & (groups[2] == 2), 0.35, 0.1)

    assert _wheres(_binary((2, 3, 4, 3), 20_000, seed, rate)) == [{"c0": "v1", "c2": "v2"}]


def test_three_conditions_need_depth_three() -> None:
    def rate(groups: Ints, true: Ints) -> NDArray[np.float64]:
        return np.where((groups[:3] == 1).all(axis=0), 0.5, 0.1)

    tally = _binary((3, 3, 3, 2), 10_000, 1, rate)
    assert _wheres(tally) == [{"c0": "v1", "c1": "v1", "c2": "v1"}]
    assert all(len(where) <= 2 for where in _wheres(tally, depth=2))
    assert _wheres(tally, depth=0) == []


def test_missed_positives_are_found_where_only_they_are_worse() -> None:
    def rate(groups: Ints, true: Ints) -> NDArray[np.float64]:
        return np.where((groups[0] == 1) & (true == 1), 0.5, 0.2)

    (found,) = search_subgroups(
        _binary((3, 2), 6_000, 0, rate, positives=0.2), AuditOptions()
    ).found
    assert found.where == (("c0", "v1"),)
    assert found.metric == "false_negative_rate"
    assert found.estimate.n < found.n / 3
    assert found.estimate.value == pytest.approx(0.5, abs=0.08)


def test_a_worse_part_of_a_bad_subgroup_is_reported_beside_it() -> None:
    def rate(groups: Ints, true: Ints) -> NDArray[np.float64]:
        bad, part = groups[0] == 1, groups[1] == 1
        return np.where(bad & part, 0.8, np.where(bad, 0.4, 0.1))

    found = _wheres(_binary((3, 3, 2), 9_000, 2, rate))
    assert found == [{"c0": "v1", "c1": "v1"}, {"c0": "v1"}]


def test_columns_that_say_the_same_are_reported_once() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 3, 3000), rng.integers(0, 3, 3000)
    groups, true = np.stack([one, one, other]), rng.integers(0, 2, 3000)
    wrong = rng.random(3000) < np.where(one == 2, 0.4, 0.1)
    assert _wheres(_tally((3, 3, 3), groups, true, np.where(wrong, 1 - true, true))) == [
        {"c0": "v2"}
    ]


def test_as_many_as_asked_for_by_falling_bound() -> None:
    def rate(groups: Ints, true: Ints) -> NDArray[np.float64]:
        return 0.05 + 0.15 * groups[0] * (groups[1] == 0)

    tally = _binary((5, 2), 20_000, 0, rate)
    found = search_subgroups(tally, AuditOptions()).found
    assert len(found) > 2
    assert list(found) == sorted(found, key=lambda one: -one.shortfall)
    assert search_subgroups(tally, AuditOptions(subgroups=2)).found == found[:2]


@pytest.mark.parametrize(("rate", "positives"), [(0.02, 0.3), (0.15, 0.5), (0.5, 0.1)])
def test_alike_data_give_false_findings_in_at_most_five_percent(
    rate: float, positives: float
) -> None:
    # 2 % were counted over 4,000 runs; 100 runs would scatter around that by more than 5 % allows.
    runs = 400
    options = AuditOptions(min_group=10)
    wrong = [
        bool(search_subgroups(_binary((3, 3, 4), 600, seed, rate, positives), options).found)
        for seed in range(runs)
    ]
    assert sum(wrong) <= 0.05 * runs


def test_false_findings_among_small_groups_are_those_of_chance() -> None:
    """Wilson's limits fail here: rare errors, 40 groups of few rows."""
    levels, runs, options = (40,), 200, AuditOptions(min_group=5, level=0.9)
    found = [
        bool(search_subgroups(_binary(levels, 400, seed, 0.01), options).found)
        for seed in range(runs)
    ]
    assert sum(found) <= 0.1 * runs


@pytest.mark.parametrize("alpha", [0.05, 1e-4])
@pytest.mark.parametrize("sizes", [(20, 20), (20, 300), (150, 40)])
def test_the_bound_of_a_rate_difference_holds_its_level(
    alpha: float, sizes: tuple[int, int]
) -> None:
    judge = error_rates(3)
    a, b = (np.arange(n + 1) for n in sizes)
    own = np.stack([np.full(len(a), sizes[0]), a], axis=1)[:, None]
    other = np.stack([np.full(len(b), sizes[1]), b], axis=1)[None]
    above = judge.shortfall(own, other, alpha)[..., 0] > 0
    for p in (0.01, 0.1, 0.3, 0.5, 0.8):
        chance = binom.pmf(a, sizes[0], p)[:, None] * binom.pmf(b, sizes[1], p)
        assert (above * chance).sum() <= alpha


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*(st.integers(0, 2) for _ in range(3)), st.integers(0, 1), st.integers(0, 1)),
        min_size=1,
        max_size=60,
    ),
    least=st.integers(1, 5),
)
def test_candidates_are_counted_as_rows_would_be(rows: list[tuple[int, ...]], least: int) -> None:
    array = np.array(rows).T
    cells, judge = cells_of(_tally((3, 3, 3), array[:3], array[3], array[4]))
    found = candidates_of(cells, judge, 3, least)
    wrong = array[3] != array[4]
    expected = {}
    for size in (1, 2, 3):
        for columns in combinations(range(3), size):
            for values in product(range(3), repeat=size):
                own = (array[list(columns)] == np.array(values)[:, None]).all(axis=0)
                negative, positive = own & (array[3] == 0), own & (array[3] == 1)
                sums = [negative, negative & wrong, positive, positive & wrong]
                if own.sum() >= least:
                    where = tuple(zip(columns, values, strict=True))
                    expected[where] = [int(part.sum()) for part in sums]
    assert {found.where(i): found.sums[i].tolist() for i in range(len(found.sums))} == expected


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), strength=st.sampled_from([0.1, 0.3, 0.6]))
def test_clients_and_the_order_of_rows_change_nothing(seed: int, strength: float) -> None:
    def rate(groups: Ints, true: Ints) -> NDArray[np.float64]:
        return np.where(groups[1] == 0, 0.1 + strength, 0.1)

    tally = _binary((2, 3), 500, seed, rate)
    split = _binary((2, 3), 500, seed, rate, client=np.random.default_rng(seed).integers(0, 2, 500))
    assert search_subgroups(tally, AuditOptions()) == search_subgroups(split, AuditOptions())


def test_more_classes_are_judged_by_the_error_rate() -> None:
    rng = np.random.default_rng(3)
    groups, true = rng.integers(0, 3, (2, 4000)), rng.integers(0, 4, 4000)
    wrong = rng.random(4000) < np.where(groups[1] == 2, 0.5, 0.2)
    tally = _tally((3, 3), groups, true, np.where(wrong, (true + 1) % 4, true), classes=4)
    (found,) = search_subgroups(tally, AuditOptions()).found
    assert (found.where, found.metric) == ((("c1", "v2"),), "error_rate")


def _regression(rows: int, seed: int, scale: float) -> Tally:
    rng = np.random.default_rng(seed)
    levels = (3, 4)
    groups = np.stack([rng.integers(0, n, rows) for n in levels])
    errors = rng.normal(size=rows) * np.where(groups[1] == 1, scale, 1.0)
    schema = Schema("regression", (), _axes(levels))
    flat = np.ravel_multi_index((np.zeros(rows, np.int64), *groups), schema.group_shape)
    return errors_tally(schema, errors, flat)


def test_regression_finds_larger_errors() -> None:
    (found,) = search_subgroups(_regression(3000, 0, 2.0), AuditOptions()).found
    assert (found.where, found.metric) == ((("c1", "v1"),), "mean_absolute_error")
    # The mean of |N(0, 1)| is √(2/π).
    assert found.rest == pytest.approx(0.798, abs=0.06)
    assert found.estimate.value == pytest.approx(1.596, abs=0.12)
    assert found.estimate.low < found.estimate.value < found.estimate.high
    assert found.estimate.how == "normal"


def test_regression_without_difference_finds_nothing() -> None:
    wrong = [
        bool(search_subgroups(_regression(400, seed, 1.0), AuditOptions()).found)
        for seed in range(100)
    ]
    assert sum(wrong) <= 5


def test_errors_without_any_spread_are_compared_as_they_are() -> None:
    judge = ErrorJudge(unit=0.5, centre=3.0)
    # 30 rows with |e| = 2 against 40 with |e| = 1: distances of 1 and -1 in units of a half.
    own, other = np.array([30.0, 30.0, 30.0]), np.array([40.0, -40.0, 40.0])
    assert judge.failures(own) == pytest.approx([60.0])
    assert judge.shortfall(own, other, 0.01) == pytest.approx([1.0])


def test_nothing_to_compare() -> None:
    one_level = _binary((1,), 500, 0, 0.3)
    assert search_subgroups(one_level, AuditOptions()).comparisons == 0
    assert search_subgroups(one_level, AuditOptions()).found == ()
    no_columns = Tally(Schema("classification", ("a",), ()))
    assert search_subgroups(no_columns, AuditOptions()).note == ""
    none = np.zeros(0, np.int64)
    empty = _tally((2,), np.zeros((1, 0), np.int64), none, none)
    assert search_subgroups(empty, AuditOptions()).found == ()
    few = _binary((2, 2), 60, 0, 0.3)
    assert search_subgroups(few, AuditOptions(min_group=100)).candidates == 0


def test_counts_of_another_kind_are_refused() -> None:
    for task in ("classification", "regression"):
        schema = Schema(task, ("a", "b"), _axes((2,)))  # type: ignore[arg-type]
        with pytest.raises(InputError, match="to search"):
            search_subgroups(Tally(schema), AuditOptions())


def test_weights_do_not_count_and_the_note_says_so() -> None:
    plain, weighted = (
        search_subgroups(_binary((2, 2), 2000, 0, 0.2, weighted=flag), AuditOptions())
        for flag in (False, True)
    )
    assert plain.found == weighted.found
    assert weighted.note == plain.note + "; rows are counted there, not weights"
