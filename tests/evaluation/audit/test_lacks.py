"""Parts that are not defined: in the gap's own record, in words, and in no gate that holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluation.audit import AuditOptions, audit, parse_condition
from evaluation.audit.outcome import Audit, Verdict
from tests.evaluation.audit.tallies import tally_of

OPTIONS = AuditOptions(replicates=0, min_group=1, depth=0)
NO_POSITIVES = [[[20, 0], [0, 0]], [[20, 0], [9, 1]]]
"""The case ``min_eo.csv``: only the second group has rows of the positive class."""


def audited(counts: Any, *gate: str, **options: Any) -> Audit:
    counts = np.asarray(counts)
    group, true, predicted = (
        np.repeat(i.ravel(), counts.ravel()) for i in np.indices(counts.shape)
    )
    tally = tally_of(true, predicted, {"g": group}, classes=counts.shape[-1], levels=len(counts))
    return audit(
        tally, AuditOptions(**(vars(OPTIONS) | options)), gate=[parse_condition(t) for t in gate]
    )


def one(counts: Any, condition: str, **options: Any) -> Verdict:
    (verdict,) = audited(counts, condition, **options).gate
    return verdict


def test_equalized_odds_over_one_of_its_rates_says_so() -> None:
    found = audited(NO_POSITIVES, "equalized_odds_difference > 0.1")
    gap = found.comparisons[0].gap("equalized_odds_difference").estimate
    assert gap.value == 0
    assert gap.lacks == (
        "false positive rate alone",
        "true positive rate (recall) is not defined for 0",
    )
    (verdict,) = found.gate
    assert (verdict.held, verdict.audited) == (False, False)
    assert "false positive rate alone" in verdict.message


@pytest.mark.parametrize(
    "condition",
    [
        "equalized_odds_difference_mean > 0.9", "equalized_odds_difference_to_overall > 0.9",
        "equalized_odds_ratio < 0.1", "equal_opportunity_difference > 0.9",
        "balanced_accuracy_difference > 0.9", "min(balanced_accuracy) < 0.1",
        "min(true_positive_rate) < 0.01", "false_negative_rate_difference > 0.99",
    ],
)  # fmt: skip
def test_no_metric_with_an_undefined_part_passes(condition: str) -> None:
    verdict = one(NO_POSITIVES, condition)
    assert (verdict.held, verdict.audited) == (False, False)


@pytest.mark.parametrize("condition", ["accuracy_difference > 0.9", "min(accuracy) < 0.1"])
def test_what_is_whole_is_judged(condition: str) -> None:
    assert one(NO_POSITIVES, condition).held


def test_a_group_left_out_of_a_gap_is_in_its_record() -> None:
    counts = [[[20, 10], [5, 15]], [[10, 10], [8, 12]], [[30, 2], [0, 0]]]
    found = audited(counts, "equal_opportunity_difference > 0.5")
    gap = found.comparisons[0].gap("equal_opportunity_difference").estimate
    assert gap.value == pytest.approx(0.15)
    assert gap.lacks == ("true positive rate (recall) is not defined for 2",)
    assert not found.gate[0].audited
    # What is left fails on its own: that is no matter of what is missing.
    failed = one(counts, "equal_opportunity_difference > 0.1")
    assert (failed.held, failed.audited) == (False, True)
    assert "is not defined for 2" in failed.message


def test_a_ratio_of_zeros_is_said() -> None:
    even = [[[20, 0], [5, 15]], [[30, 0], [5, 20]]]
    found = audited(even, "equalized_odds_ratio < 0.5")
    lacks = found.comparisons[0].gap("equalized_odds_ratio").estimate.lacks
    assert lacks == (
        "true positive rate (recall) alone",
        "false positive rate is 0 in every group, which has no ratio",
    )
    assert not found.gate[0].audited
    assert found.comparisons[0].gap("equalized_odds_difference").estimate.lacks == ()


def test_a_class_that_a_group_lacks_is_named() -> None:
    counts = np.full((2, 3, 3), 4) + 10 * np.eye(3, dtype=int)
    counts[1, 2] = 0
    found = audited(counts, "equal_opportunity_difference > 0.9", "min(balanced_accuracy) < 0.1")
    comparison = found.comparisons[0]
    gap = comparison.gap("equal_opportunity_difference").estimate
    assert gap.lacks == ("true positive rate (recall) of class 2 is not defined for 1",)
    balanced = next(m for m in comparison.metrics if m.name == "balanced_accuracy")
    assert [e.lacks for e in balanced.groups] == [(), ("recall of class 2",)]
    assert balanced.overall.lacks == ()
    assert [v.audited for v in found.gate] == [False, False]


def test_n_of_several_classes_is_all_rows_that_they_rest_on() -> None:
    counts = np.array([[[9, 1, 2], [3, 8, 1], [0, 2, 4]], [[5, 5, 0], [1, 7, 2], [2, 2, 6]]])
    comparison = audited(counts).comparisons[0]
    for name in ("equal_opportunity", "demographic_parity", "precision", "equalized_odds", "f1"):
        assert comparison.gap(f"{name}_difference").estimate.n == counts.sum()


def test_a_mean_of_shares_that_add_to_1_is_not_told() -> None:
    counts = np.full((2, 3, 3), 4) + 10 * np.eye(3, dtype=int)
    shares = {"selection_rate", "base_rate"}
    assert not shares & {m.name for m in audited(counts).comparisons[0].metrics}
    worst = audited(counts, across="worst").comparisons[0]
    assert shares <= {m.name for m in worst.metrics}
    assert shares <= {m.name for m in audited(counts[:, :2, :2]).comparisons[0].metrics}
