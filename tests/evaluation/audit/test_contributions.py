"""What clients add to a gap: equal to auditing the rows that are left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.audit.contributions import MAIN, contributions
from evaluation.audit.gaps import GAPS
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Contribution
from evaluation.audit.schema import Axis, Schema
from evaluation.audit.sparse import IntArray, SparseCounts
from evaluation.audit.tally import Tally
from evaluation.errors import InputError

AXES = (Axis("sex", ("f", "m")), Axis("race", ("x", "y", "z")))
CLIENTS = ("a", "b", "c")


def _tally(counts: IntArray, weights: float = 0.0) -> Tally:
    """Of dense counts ``[client, sex, race, true, predicted]``."""
    clients, classes = CLIENTS[: len(counts)], ("n", "y", "u")[: counts.shape[-1]]
    schema = Schema("classification", classes, AXES, clients, weighted=weights > 0, place=-1)
    flat = counts.ravel()
    values = flat[:, None]
    if weights:
        units = round(weights * 2**30)
        values = flat[:, None] * np.array([1, units, units**2], object)
    there = np.flatnonzero(flat)
    return Tally(schema, SparseCounts.collect(counts.shape, there, values[there]))


def _by_gap(found: tuple[Contribution, ...]) -> dict[tuple[str, str], Contribution]:
    return {(one.gap, one.client): one for one in found}


def _random(seed: int, clients: int = 3, classes: int = 2) -> IntArray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 12, (clients, 2, 3, classes, classes))


def test_the_client_that_makes_a_gap_is_named_first() -> None:
    even = np.array([[40, 10], [10, 40]])
    uneven = np.array([[[40, 10], [10, 40]], [[40, 10], [40, 10]]])
    counts = np.zeros((2, 2, 3, 2, 2), np.int64)
    counts[0, :, 0] = even
    counts[1, :, 0] = uneven
    found = contributions(_tally(counts), AuditOptions(by=(("sex",),)))
    first, second = [one for one in found if one.gap == "equalized_odds_difference @ sex"]
    # True positive rates: f 80/100 of both, m 50/100 of both, 40/50 in a and 10/50 in b.
    assert (first.client, first.n) == ("b", 200)
    assert (first.without, first.share, first.own) == pytest.approx((0.0, 0.3, 0.6))
    assert (second.client, second.n) == ("a", 200)
    assert (second.without, second.share, second.own) == pytest.approx((0.6, -0.3, 0.0))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    least=st.sampled_from([1, 20, 60]),
    classes=st.sampled_from([2, 3]),
    weights=st.sampled_from([0.0, 0.5]),
)
def test_each_number_is_the_gap_of_the_rows_it_stands_for(
    seed: int, least: int, classes: int, weights: float
) -> None:
    counts = _random(seed, classes=classes)
    found = _by_gap(contributions(_tally(counts, weights), AuditOptions(min_group=least)))

    def gap(name: str, clients: list[int], axes: tuple[int, ...]) -> float:
        groups = counts[clients].sum(axis=(0, *axes)).reshape(-1, classes, classes)
        enough = groups[groups.sum(axis=(1, 2)) >= least]
        return float(GAPS[name].of_counts(enough)) if len(enough) else float("nan")

    for name in MAIN:
        for by, axes in (("sex", (2,)), ("race", (1,)), ("sex × race", ())):
            title = f"{name} @ {by}"
            whole = gap(name, [0, 1, 2], axes)
            if np.isnan(whole):
                assert (title, "a") not in found
                continue
            for k, client in enumerate(CLIENTS):
                one = found[title, client]
                without = gap(name, [i for i in range(3) if i != k], axes)
                expected = (without, whole - without, gap(name, [k], axes))
                actual = (one.without, one.share, one.own)
                assert actual == pytest.approx(expected, nan_ok=True, abs=1e-12)
                assert one.n == counts[k].sum()


def test_shares_fall_and_undefined_ones_come_last() -> None:
    counts = _random(1)
    counts[0, 1] = counts[1, 1] = 0  # only c has men
    found = contributions(_tally(counts), AuditOptions(by=(("sex",),), min_group=5))
    shares = [one.share for one in found if one.gap.startswith("accuracy")]
    assert not np.isnan(shares[0])
    assert np.isnan(shares[-1])
    assert found[-1].client == "c"
    assert shares[:-1] == sorted(shares[:-1], reverse=True)


def test_regression_compares_mean_absolute_errors() -> None:
    schema = Schema("regression", (), AXES[:1], CLIENTS[:2], place=-1)
    # Rows, Σe, Σ|e|, Σe², in units of 2⁻³⁰: mean |e| of a is 1 and 2, of b 1 and 5.
    values = np.array([[10, 0, 10, 0], [10, 0, 20, 0], [10, 0, 10, 0], [10, 0, 50, 0]], object)
    values[:, 2] *= 2**30
    tally = Tally(schema, errors=SparseCounts((2, 2), np.arange(4), values))
    found = _by_gap(contributions(tally, AuditOptions(min_group=5)))
    b = found["mean_absolute_error_difference @ sex", "b"]
    assert (b.n, b.without, b.share, b.own) == (20, 1.0, 1.5, 4.0)


def test_nothing_to_leave_out() -> None:
    assert contributions(_tally(_random(0, clients=1)), AuditOptions()) == ()
    empty = _tally(np.zeros((2, 2, 3, 2, 2), np.int64))
    assert contributions(empty, AuditOptions()) == ()
    with pytest.raises(InputError, match="no predictions"):
        contributions(Tally(Schema("classification", ("a",), AXES, CLIENTS)), AuditOptions())
