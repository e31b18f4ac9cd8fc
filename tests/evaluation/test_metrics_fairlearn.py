"""Summed counts give fairlearn's value on the pooled rows."""

from typing import Any

import fairlearn.metrics as fm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import GroupCounts
from evaluation.audit.gaps import GAPS
from evaluation.audit.metrics import BY_GROUP
from tests.evaluation.vectors import G_1, G_2, Y_PRED, Y_TRUE

Federation = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]

DIFFERENCES: dict[str, dict[str, Any]] = {
    "demographic_parity_difference": {},
    "equal_opportunity_difference": {},
    "equalized_odds_difference": {"agg": ("worst_case", "mean")},
}
RATIOS: dict[str, dict[str, Any]] = {
    "demographic_parity_ratio": {},
    "equal_opportunity_ratio": {},
    "equalized_odds_ratio": {"agg": ("worst_case", "mean")},
}
CASES = [
    (name, method, agg)
    for name, options in {**DIFFERENCES, **RATIOS}.items()
    for method in ("between_groups", "to_overall")
    for agg in options.get("agg", (None,))
]


def federate(
    y_true: Any, y_pred: Any, group: Any, client: np.ndarray, n_groups: int, n_classes: int
) -> np.ndarray:
    """Sum the counts of every client."""
    names = [f"g{i}" for i in range(n_groups)], [f"c{i}" for i in range(n_classes)]
    parts = [
        GroupCounts.from_labels(
            y_true[client == k], y_pred[client == k], group[client == k], *names
        )
        for k in np.unique(client)
    ]
    return sum(parts, GroupCounts.zeros(*names)).values


@st.composite
def federations(draw: st.DrawFn, n_classes: int = 2) -> Federation:
    n_groups = draw(st.integers(1, 4))
    n = draw(st.integers(2, 40))

    def column(top: int) -> np.ndarray:
        return np.array(draw(st.lists(st.integers(0, top - 1), min_size=n, max_size=n)))

    return column(n_classes), column(n_classes), column(n_groups), column(4), n_groups


def theirs(name: str, y_true: Any, y_pred: Any, group: Any, method: str, agg: str | None) -> float:
    options = {"agg": agg} if agg else {}
    with np.errstate(invalid="ignore", divide="ignore"):
        return getattr(fm, name)(y_true, y_pred, sensitive_features=group, method=method, **options)


def ours(
    name: str, counts: np.ndarray, method: str, agg: str | None, convention: Any, **more: Any
) -> float:
    mean = "_mean" if agg == "mean" else ""
    end = "_to_overall" if method == "to_overall" else ""
    return float(GAPS[f"{name}{mean}{end}"].of_counts(counts, convention=convention, **more))


@pytest.mark.parametrize(("name", "method", "agg"), CASES)
@given(federation=federations())
@settings(max_examples=15, deadline=None)
def test_binary_counts_give_fairlearns_value_on_any_rows(
    name: str, method: str, agg: str | None, federation: Federation
) -> None:
    y_true, y_pred, group, client, n_groups = federation
    counts = federate(y_true, y_pred, group, client, n_groups, 2)
    expected = theirs(name, y_true, y_pred, group, method, agg)
    value = ours(name, counts, method, agg, "fairlearn")
    if np.isnan(expected):
        # fairlearn's min(NaN, x) is NaN: ours skips the undefined part of equalized odds.
        assert np.isnan(value) or name == "equalized_odds_ratio"
    else:
        assert value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("name", "method", "agg"), CASES)
@given(federation=federations())
@settings(max_examples=8, deadline=None)
def test_default_convention_agrees_where_every_group_has_both_classes(
    name: str, method: str, agg: str | None, federation: Federation
) -> None:
    y_true, y_pred, group, client, _ = federation
    full = np.array([(y, p, g) for g in (0, 1) for y in (0, 1) for p in (0, 1)])
    y_true, y_pred = np.append(y_true, full[:, 0]), np.append(y_pred, full[:, 1])
    group = np.append(group % 2, full[:, 2])
    client = np.append(client, np.arange(8))
    counts = federate(y_true, y_pred, group, client, 2, 2)
    expected = theirs(name, y_true, y_pred, group, method, agg)
    assert ours(name, counts, method, agg, "exclude") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("name", "method", "agg"), CASES)
@given(federation=federations(n_classes=3))
@settings(max_examples=8, deadline=None)
def test_more_classes_are_one_against_the_rest(
    name: str, method: str, agg: str | None, federation: Federation
) -> None:
    y_true, y_pred, group, client, n_groups = federation
    counts = federate(y_true, y_pred, group, client, n_groups, 3)
    each = np.array(
        [
            theirs(name, (y_true == c).astype(int), (y_pred == c).astype(int), group, method, agg)
            for c in range(3)
        ]
    )
    if np.isnan(each).any():
        return
    ends = {"macro": each.mean(), "worst": each.max() if name in DIFFERENCES else each.min()}
    for across, expected in ends.items():
        value = ours(name, counts, method, agg, "fairlearn", across=across)
        assert value == pytest.approx(expected, abs=1e-9)


@given(federation=federations())
@settings(max_examples=40, deadline=None)
def test_rates_by_group_are_fairlearns(federation: Federation) -> None:
    y_true, y_pred, group, client, n_groups = federation
    counts = federate(y_true, y_pred, group, client, n_groups, 2)
    pairs = {
        getattr(fm, name): BY_GROUP[name].values(counts, "fairlearn")
        for name in ("selection_rate", "true_positive_rate", "false_positive_rate")
    }
    for function, table in pairs.items():
        frame = fm.MetricFrame(
            metrics=function, y_true=y_true, y_pred=y_pred, sensitive_features=group
        )
        for name, expected in frame.by_group.items():
            assert table[name, 0] == pytest.approx(expected, abs=1e-9)
        absent = sorted(set(range(n_groups)) - set(frame.by_group.index))
        assert np.isnan(table[absent]).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("demographic_parity_difference", 0.0746031746),
        ("demographic_parity_ratio", 0.8912037037),
        ("equalized_odds_difference", 0.1007905138),
        ("equalized_odds_ratio", 0.8712121212),
        ("demographic_parity_difference_to_overall", 0.0378269618),
        ("equalized_odds_difference_to_overall", 0.0515151515),
    ],
)
def test_fairlearns_own_vectors(name: str, expected: float) -> None:
    counts = federate(Y_TRUE, Y_PRED, G_1, np.arange(71) % 5, 2, 2)
    assert counts.sum(axis=(1, 2)).tolist() == [36, 35]
    assert float(GAPS[name].of_counts(counts)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "name",
    ["demographic_parity_difference", "equalized_odds_difference", "equal_opportunity_difference"],
)
def test_intersections_are_groups_like_any_other(name: str) -> None:
    both = G_1 * 2 + G_2
    counts = federate(Y_TRUE, Y_PRED, both, np.arange(71) % 3, 4, 2)
    expected = theirs(name, Y_TRUE, Y_PRED, both, "between_groups", None)
    assert float(GAPS[name].of_counts(counts)) == pytest.approx(expected, abs=1e-9)


def test_intersection_vector_of_the_design() -> None:
    counts = federate(Y_TRUE, Y_PRED, G_1 * 2 + G_2, np.zeros(71, int), 4, 2)
    values = {
        "demographic_parity_difference": 0.3333333333,
        "equalized_odds_difference": 0.75,
        "equal_opportunity_difference": 0.2301587302,
    }
    for name, expected in values.items():
        assert float(GAPS[name].of_counts(counts)) == pytest.approx(expected, abs=1e-9)
