"""Summed counts give what fairlearn gives on the pooled rows."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import fairlearn.metrics as fm
import numpy as np
import pytest
import sklearn.metrics as skm
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.audit.compare import compare_groups
from evaluation.audit.exact_sums import weights_of
from evaluation.audit.gaps import canonical, gap_kinds
from evaluation.audit.metrics import ALIASES, BY_GROUP, ByGroup, chosen
from evaluation.audit.options import AuditOptions
from evaluation.errors import InputError
from evaluation.rates import pool_groups
from tests.evaluation.audit.tallies import tally_of
from tests.evaluation.vectors import G_1, G_2, Y_PRED, Y_TRUE

Rows = dict[str, Any]
PLAIN = AuditOptions(min_group=1, replicates=0)


def base_rate(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    return float(np.average(y_true, weights=sample_weight))


THEIRS: dict[str, Callable[..., float]] = {
    "accuracy": skm.accuracy_score,
    "zero_one_loss": skm.zero_one_loss,
    "balanced_accuracy": skm.balanced_accuracy_score,
    "selection_rate": fm.selection_rate,
    "base_rate": base_rate,
    "true_positive_rate": fm.true_positive_rate,
    "true_negative_rate": fm.true_negative_rate,
    "false_positive_rate": fm.false_positive_rate,
    "false_negative_rate": fm.false_negative_rate,
    "precision": partial(skm.precision_score, zero_division=0),
    "f1": partial(skm.f1_score, zero_division=0),
}
JOINED = ("demographic_parity", "equal_opportunity", "equalized_odds")


@st.composite
def rows(draw: st.DrawFn, classes: int = 2) -> Rows:
    n = draw(st.integers(2, 40))

    def column(top: int) -> np.ndarray:
        return np.array(draw(st.lists(st.integers(0, top - 1), min_size=n, max_size=n)))

    # Weights of any size: the metrics are those of scikit-learn all the same.
    size, steps = draw(st.floats(-250, 250)), draw(st.sampled_from([0.3, 1.0, 2.0]))

    def scaled(whole: np.ndarray) -> np.ndarray:
        return np.asarray(10.0**size * whole.astype(float) * 10.0 ** (steps * column(8)))

    return {
        "y_true": column(classes),
        "y_pred": column(classes),
        "group": column(draw(st.integers(1, 4))),
        "client": column(4),
        "weight": scaled(1 + column(16)) if draw(st.booleans()) else None,
    }


def counted(data: Rows, classes: int = 2) -> np.ndarray:
    """Weighted counts of the groups that occur, merged over clients in two orders."""
    parts = []
    for client in range(4):
        own = data["client"] == client
        weight = None if data["weight"] is None else data["weight"][own]
        parts.append(
            tally_of(
                data["y_true"][own],
                data["y_pred"][own],
                {"g": data["group"][own]},
                classes=classes,
                weight=weight,
                levels=4,
            )
        )
    merged = parts[0] + parts[1] + parts[2] + parts[3]
    other = parts[3] + (parts[2] + (parts[1] + parts[0]))
    assert merged.confusion is not None
    assert other.confusion is not None
    np.testing.assert_array_equal(merged.confusion.values, other.confusion.values)
    table, _ = merged.grouped(merged.confusion, ("g",))
    return weights_of(table)


def by_group(
    metric: ByGroup, counts: np.ndarray, across: Any = "macro", convention: Any = "exclude"
) -> np.ndarray:
    """One number per group."""
    return metric.joined(metric.values(counts, convention), across)


def frame(function: Callable[..., float], data: Rows) -> fm.MetricFrame:
    with warnings.catch_warnings():
        # A single class in a group is what these tests are about.
        warnings.simplefilter("ignore")
        return fm.MetricFrame(
            metrics=function,
            y_true=data["y_true"],
            y_pred=data["y_pred"],
            sensitive_features=data["group"],
            sample_params={} if data["weight"] is None else {"sample_weight": data["weight"]},
        )


def same(ours: float, theirs: float) -> bool:
    return bool(np.isclose(ours, theirs, rtol=0, atol=1e-9, equal_nan=True))


@pytest.mark.parametrize("name", list(THEIRS))
@given(data=rows())
@settings(max_examples=5, deadline=None)
def test_every_metric_and_its_gaps_are_fairlearns(name: str, data: Rows) -> None:
    counts, metric = counted(data), BY_GROUP[name]
    theirs = frame(THEIRS[name], data)
    ours = by_group(metric, counts, convention="fairlearn")
    np.testing.assert_allclose(ours, theirs.by_group.to_numpy(float), rtol=0, atol=1e-9)
    overall = by_group(metric, pool_groups(counts), convention="fairlearn")[0]
    assert same(overall, theirs.overall)
    assert same(ours.min(), theirs.group_min())
    assert same(ours.max(), theirs.group_max())
    for kind in gap_kinds([metric]):
        with np.errstate(all="ignore"):
            expected = getattr(theirs, kind.kind)(method=kind.method)
        assert same(float(kind.of_counts(counts, convention="fairlearn")), expected), kind.name


@given(data=rows())
@settings(max_examples=5, deadline=None)
def test_named_gaps_are_fairlearns(data: Rows) -> None:
    counts = counted(data)
    for kind in gap_kinds(chosen(())):
        stem = next((stem for stem in JOINED if kind.name.startswith(stem)), None)
        if stem is None:
            continue
        options: dict[str, Any] = {"method": kind.method}
        if stem == "equalized_odds":
            options["agg"] = kind.agg
        with np.errstate(all="ignore"):
            expected = getattr(fm, f"{stem}_{kind.kind}")(
                data["y_true"],
                data["y_pred"],
                sensitive_features=data["group"],
                sample_weight=data["weight"],
                **options,
            )
        ours = float(kind.of_counts(counts, convention="fairlearn"))
        # fairlearn's min(NaN, x) is NaN: ours skips the undefined part of equalized odds.
        assert same(ours, expected) or (np.isnan(expected) and kind.name.startswith("equalized"))


@pytest.mark.parametrize("name", ["accuracy", "zero_one_loss", "balanced_accuracy"])
@given(data=rows(classes=3))
@settings(max_examples=5, deadline=None)
def test_metrics_of_all_classes_at_once(name: str, data: Rows) -> None:
    theirs = frame(THEIRS[name], data)
    ours = by_group(BY_GROUP[name], counted(data, 3))
    np.testing.assert_allclose(ours, theirs.by_group.to_numpy(float), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("name", "function"), [("precision", skm.precision_score),
                                                ("f1", skm.f1_score)])  # fmt: skip
@given(data=rows(classes=3))
@settings(max_examples=5, deadline=None)
def test_macro_averages_are_scikit_learns(
    name: str, function: Callable[..., float], data: Rows
) -> None:
    theirs = frame(partial(function, average="macro", zero_division=0), data)
    ours = by_group(BY_GROUP[name], counted(data, 3), convention="fairlearn")
    np.testing.assert_allclose(ours, theirs.by_group.to_numpy(float), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", [n for n in THEIRS if "rate" in n])
@given(data=rows(classes=3))
@settings(max_examples=5, deadline=None)
def test_each_class_against_the_rest(name: str, data: Rows) -> None:
    counts, metric = counted(data, 3), BY_GROUP[name]
    each = []
    for c in range(3):
        binary = data | {
            "y_true": (data["y_true"] == c).astype(int),
            "y_pred": (data["y_pred"] == c).astype(int),
        }
        each.append(frame(THEIRS[name], binary).by_group.to_numpy(float))
    ours = metric.values(counts, "fairlearn")
    np.testing.assert_allclose(ours, np.stack(each, axis=1), rtol=0, atol=1e-9)
    largest = metric.direction != "higher"
    worst = np.max(each, axis=0) if largest else np.min(each, axis=0)
    np.testing.assert_allclose(
        by_group(metric, counts, "worst", "fairlearn"), worst, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize(
    ("by", "groups", "values"),
    [
        (("a",), 2, {"demographic_parity_difference": 0.0746031746,
                     "demographic_parity_ratio": 0.8912037037,
                     "equalized_odds_difference": 0.1007905138,
                     "equalized_odds_ratio": 0.8712121212,
                     "demographic_parity_difference_to_overall": 0.0378269618,
                     "equalized_odds_difference_to_overall": 0.0515151515}),
        (("a", "b"), 4, {"demographic_parity_difference": 0.3333333333,
                         "equalized_odds_difference": 0.75,
                         "equal_opportunity_difference": 0.2301587302}),
    ],
)  # fmt: skip
def test_fairlearns_own_vectors(by: tuple[str, ...], groups: int, values: dict[str, float]) -> None:
    tally = tally_of(Y_TRUE, Y_PRED, {"a": G_1, "b": G_2})
    (found,) = compare_groups(tally, AuditOptions(by=(by,), min_group=1, replicates=0))
    assert len(found.groups) == groups
    for name, value in values.items():
        assert found.gap(name).estimate.value == pytest.approx(value, abs=1e-9)


@given(data=rows())
@settings(max_examples=5, deadline=None)
def test_a_comparison_leaves_out_what_is_not_defined(data: Rows) -> None:
    tally = tally_of(
        data["y_true"], data["y_pred"], {"g": data["group"]}, weight=data["weight"], levels=4
    )
    (found,) = compare_groups(tally, PLAIN)
    recall = next(m for m in found.metrics if m.name == "true_positive_rate")
    present = sorted(set(data["group"]))
    assert found.groups == tuple(map(str, present))
    assert found.rows == tuple((data["group"] == g).sum() for g in present)
    for group, estimate in zip(present, recall.groups, strict=True):
        positive = (data["group"] == group) & (data["y_true"] == 1)
        assert np.isnan(estimate.value) == (not positive.any())
        assert estimate.n == positive.sum()
    defined = [e.value for e in recall.groups if not np.isnan(e.value)]
    expected = max(defined) - min(defined) if len(defined) > 1 else np.nan
    assert same(found.gap("equal_opportunity_difference").estimate.value, expected)


def test_names() -> None:
    assert [m.name for m in chosen(("recall", "accuracy_score", "accuracy"))] == [
        "true_positive_rate",
        "accuracy",
    ]
    with pytest.raises(InputError, match="no metric by group 'acuracy'; choose from: accuracy"):
        chosen(("acuracy",))
    assert set(ALIASES.values()) <= set(BY_GROUP)
    names = [kind.name for kind in gap_kinds(chosen(()))]
    assert len(names) == len(set(names))
    for theirs in fm.__all__:
        if theirs.endswith(("_difference", "_ratio")):
            assert canonical(theirs) in names
