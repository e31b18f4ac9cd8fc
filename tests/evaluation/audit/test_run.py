"""The whole audit, from counts to every section."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from evaluation.audit import AuditOptions, audit, parse_condition
from evaluation.audit.run import clients_of
from evaluation.audit.tally import Tally
from evaluation.errors import InputError
from tests.evaluation.audit.tallies import tally_of, tally_of_errors

ROOT = Path(__file__).parents[3]


def example(n: int = 600, clients: int = 3, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    sex, race, client = (rng.integers(0, k, n) for k in (2, 3, clients))
    true = rng.integers(0, 2, n)
    wrong = rng.random(n) < 0.15 + 0.2 * sex
    return true, np.where(wrong, 1 - true, true), sex, race, client


def counted(rows: tuple[np.ndarray, ...]) -> Tally:
    true, predicted, sex, race, client = rows
    return tally_of(true, predicted, {"sex": sex, "race": race}, client=client, clients=3, levels=3)


def test_every_section_is_there() -> None:
    found = audit(
        counted(example()), AuditOptions(replicates=200), title="T", source=("a",), notes=("b",)
    )
    assert (found.n, found.title, found.source, found.notes[0]) == (600, "T", ("a",), "b")
    assert [c.by for c in found.comparisons] == [("sex",), ("race",), ("sex", "race")]
    assert len(found.comparisons[2].groups) == 6
    assert found.clients is not None
    assert found.clients.clients == 3
    assert found.contributions
    assert found.subgroups
    assert found.scores == found.frontiers == ()
    assert {"python", "numpy", "fairfed"} <= set(found.versions)
    sex = found.comparisons[0].gap("accuracy_difference")
    assert (sex.lowest, sex.highest) == ("1", "0")
    assert sex.p_bh < 0.05
    race = found.comparisons[1].gap("accuracy_difference")
    assert race.p > 0.05


def test_the_gates_tests_are_a_family_of_their_own() -> None:
    options = AuditOptions(replicates=0, metrics=("accuracy", "zero_one_loss", "f1"))
    gate = [parse_condition("accuracy_difference > 0.9"), parse_condition("f1_ratio @ race < 0.1")]
    plain, gated = (audit(counted(example()), options, gate=own) for own in ((), gate))
    p = [c.gap(f"{name}_difference").p for c in plain.comparisons for name in ("accuracy", "f1")]
    rate = false_discovery_control(p)  # six tests: complements and ratios are no further ones
    for i, name in enumerate(("accuracy", "f1", "zero_one_loss")):
        gap = plain.comparisons[0].gap(f"{name}_difference")
        assert gap.p_bh == pytest.approx(rate[i % 2])
        assert math.isnan(gap.p_holm)
    named = [c.gap("accuracy_difference") for c in gated.comparisons]
    own = [*(gap.p for gap in named), gated.comparisons[1].gap("f1_ratio").p]
    assert min(gap.p_holm for gap in named) == pytest.approx(min(1, 4 * min(own)))
    assert all(math.isnan(gap.p_bh) for gap in named)
    left = [c.gap("f1_difference") for c in gated.comparisons]
    expected = false_discovery_control([gap.p for gap in left])
    assert [gap.p_bh for gap in left] == pytest.approx(list(expected))
    assert [c.metrics for c in plain.comparisons] == [c.metrics for c in gated.comparisons]


def test_a_condition_on_what_is_not_there_is_refused_first() -> None:
    with pytest.raises(InputError, match="did you mean accuracy_difference"):
        audit(counted(example()), gate=[parse_condition("acuracy_difference > 0.1")])


@given(parts=st.lists(st.integers(0, 2), min_size=120, max_size=120))
@settings(max_examples=3, deadline=None)
def test_any_split_gives_the_same_audit(parts: list[int]) -> None:
    rows, part = example(120), np.array(parts)
    options = AuditOptions(replicates=50, min_group=5)
    pooled = audit(counted(rows), options)
    split = [counted(tuple(column[part == i] for column in rows)) for i in (2, 0, 1)]
    assert repr(audit(split[0] + split[1] + split[2], options)) == repr(pooled)


def test_small_groups_are_suppressed_and_said() -> None:
    sex = np.array([0] * 100 + [1] * 100 + [2] * 5)
    true = np.arange(205) % 2
    predicted = np.where(np.arange(205) % 5 == 0, 1 - true, true)
    tally = tally_of(true, predicted, {"sex": sex})
    (found,) = audit(tally).comparisons
    assert (found.groups, found.rows) == (("0", "1"), (100, 100))
    assert (found.suppressed, found.suppressed_rows) == (("2",), 5)
    accuracy = found.metrics[0]
    assert accuracy.overall.n == 205  # everyone counts in the overall value
    assert accuracy.overall.value == pytest.approx((true == predicted).mean())
    assert found.gap("accuracy_difference_to_overall").estimate.value == pytest.approx(
        max(abs(e.value - accuracy.overall.value) for e in accuracy.groups)
    )
    assert "1 group(s) with fewer than 20 rows (5 rows in all)" in audit(tally).notes[0]


def test_one_group_has_no_gaps() -> None:
    tally = tally_of([0, 1] * 20, [0, 1, 1, 1] * 10, {"sex": np.zeros(40, int)})
    found = audit(tally)
    for gap in found.comparisons[0].gaps:
        assert math.isnan(gap.estimate.value)
        assert math.isnan(gap.p)
        assert gap.lowest == ""
    assert found.comparisons[0].metrics[0].groups[0].value == 0.75
    assert any("one group only (0)" in note for note in found.notes)


def test_no_group_is_large_enough() -> None:
    found = audit(tally_of([0, 1, 1], [0, 1, 0], {"sex": [0, 1, 1]}))
    (comparison,) = found.comparisons
    assert (comparison.groups, comparison.suppressed) == ((), ("0", "1"))
    assert comparison.metrics[0].overall.value == pytest.approx(2 / 3)
    assert all(math.isnan(gap.estimate.value) for gap in comparison.gaps)
    assert any("no group has 20 rows" in note for note in found.notes)


def test_no_rows() -> None:
    empty = np.zeros(0, int)
    found = audit(tally_of(empty, empty, {"sex": empty}))
    assert found.n == 0
    assert found.comparisons[0].groups == ()
    assert found.notes == ("There are no rows: nothing is measured.",)
    assert audit(tally_of_errors([], empty, 1)).n == 0


def test_a_single_class() -> None:
    found = audit(tally_of([0] * 60, [0] * 60, {"sex": np.arange(60) % 2}, classes=1))
    (comparison,) = found.comparisons
    assert comparison.metrics[0].overall.value == 1
    assert comparison.gap("accuracy_difference").estimate.value == 0
    assert any("All rows are of one class (0)" in note for note in found.notes)


def test_a_group_without_positives_is_left_out_and_said() -> None:
    sex = np.repeat([0, 1, 2], 40)
    true = np.where(sex == 2, 0, np.arange(120) % 2)
    predicted = np.where(np.arange(120) % 7 == 0, 1 - true, true)
    found = audit(tally_of(true, predicted, {"sex": sex}))
    recall = next(m for m in found.comparisons[0].metrics if m.name == "true_positive_rate")
    assert [math.isnan(e.value) for e in recall.groups] == [False, False, True]
    gap = found.comparisons[0].gap("equal_opportunity_difference").estimate
    assert gap.value == pytest.approx(abs(recall.groups[0].value - recall.groups[1].value))
    assert any("true positive rate (recall) is not defined for 2" in n for n in found.notes)


def test_a_regression_has_errors_and_no_rates() -> None:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 300)
    found = audit(tally_of_errors(rng.normal(group, 1), group, 3))
    assert found.comparisons[0].metrics[0].name == "mean_error"
    assert found.clients is None
    assert found.frontiers == found.scores == ()
    gap = found.comparisons[0].gap("mean_error_difference")
    assert (gap.lowest, gap.highest) == ("0", "2")
    with pytest.raises(InputError, match="no metric of a regression 'accuracy'"):
        audit(tally_of_errors([1.0], [0], 1), AuditOptions(metrics=("accuracy",)))


def test_clients_are_measured_each() -> None:
    rows = example()
    found = clients_of(counted(rows))
    assert found is not None
    right = rows[0] == rows[1]
    assert found.accuracies == pytest.approx([right[rows[4] == c].mean() for c in range(3)])
    assert clients_of(tally_of([0], [0], {"g": [0]})) is None


def test_unknown_columns_are_named() -> None:
    with pytest.raises(InputError, match="no sensitive column 'age'; there are: sex, race"):
        audit(counted(example()), AuditOptions(by=(("age",),)))


def test_importing_the_audit_costs_numpy_only() -> None:
    heavy = "('scipy', 'pandas', 'pyarrow', 'jinja2', 'sklearn', 'plotly')"
    program = f"import sys, evaluation.audit; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_many_groups_without_a_rate_are_one_short_note() -> None:
    """40 groups without positive rows: a count and the first three, for each metric."""
    group = np.repeat(np.arange(42), 30)
    y = (group >= 40) * (np.arange(len(group)) % 2)
    found = audit(tally_of(y, y, {"g": group}), AuditOptions(replicates=0))
    notes = [note for note in found.notes if "recall" in note]
    assert len(notes) == 1
    assert "is not defined for 40 groups (0, 1, 2 …)" in notes[0]
