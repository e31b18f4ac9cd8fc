"""What `fairfed audit` prints of an audit: gaps, subgroups, verdicts."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import (
    Audit,
    Comparison,
    Estimate,
    Gap,
    GroupMetric,
    Subgroup,
    Verdict,
)
from evaluation.audit.schema import Axis, Schema
from fairfed.cli.audit_tables import print_audit

GAP = Gap(
    "accuracy_difference", "Accuracy difference", "accuracy", "difference", "between_groups",
    Estimate(0.125, 0.05, 0.2, 4), "f", "m", 0.04, 0.0002, 0.01, 0.01, 0.1,
)  # fmt: skip
AUDIT = Audit(
    Schema("classification", ("no", "yes"), (Axis("sex", ("f", "m")),)),
    AuditOptions(),
    n=4000,
    title="Loans [2026]",
    notes=("3 rows were left out",),
    comparisons=(
        Comparison(
            ("sex",),
            ("f", "m"),
            (2, 2),
            ("x",),
            1,
            (),
            (
                replace(GAP, name="accuracy_ratio", title="a ratio", kind="ratio"),
                replace(GAP, name="odds_difference_mean", title="a mean"),
                replace(GAP, metric="zero_one_loss", title="the same again"),
                replace(GAP, title="undefined", estimate=Estimate(float("nan"))),
                replace(GAP, name="base_rate_difference", metric="base_rate", title="in the data"),
                replace(GAP, title="Odds", p=0.2, estimate=Estimate(0.01, n=4, lacks=("x",))),
                GAP,
            ),
        ),
        Comparison(("age",), ("old",), (4,), (), 0, (), ()),
    ),
    subgroups=(
        Subgroup((("sex", "f"), ("age", "[old]")), 3, "error_rate", Estimate(0.5), 0.1, 0.2, 0.3),
    ),
    gate=(
        Verdict("a > 1", True, 0.1, 0.0, 0.2, 9, "a is 0.1, at most 1"),
        Verdict("b > 0", False, 0.1, 0.0, 0.2, 9, "b is 0.1, above 0"),
    ),
)


def _printed(audit: Audit, width: int = 200) -> str:
    target = io.StringIO()
    print_audit(Console(file=target, width=width), audit)
    return target.getvalue()


def test_a_narrow_terminal_gets_the_columns_that_fit() -> None:
    row = next(x for x in _printed(AUDIT, 80).splitlines() if x.startswith("Accuracy "))
    assert row.split() == [
        "Accuracy", "0.125", "0.050", "to", "0.200", "0.040", "<", "0.001", "clear", "f", "→", "m",
    ]  # fmt: skip


def test_gaps_subgroups_and_verdicts_are_shown() -> None:
    shown = _printed(AUDIT)
    assert "Loans [2026]: 4,000 rows" in shown
    row = next(line for line in shown.splitlines() if line.startswith("Accuracy "))
    for part in ("0.125", "0.050 to 0.200", "0.040", "0.100", " 4 ", "< 0.001", "clear", "f → m"):
        assert part in row
    odds = next(line for line in shown.splitlines() if line.startswith("Odds"))
    assert "not shown, in part" in odds
    assert "in the data" not in shown
    assert "Base rate, of the data and not of the model: differs by 0.125" in shown
    assert "2 groups, 1 more not compared" in shown
    assert "age: 1 group; nothing to compare" in shown
    assert not any(word in shown for word in ("a ratio", "a mean", "again", "undefined"))
    assert "sex = f, age = [old]" in shown
    assert "Note: 3 rows were left out" in shown
    assert "✓ held  a is 0.1, at most 1" in shown
    assert "✗ failed  b is 0.1, above 0" in shown


def test_rates_stand_before_gaps_and_long_tables_end() -> None:
    metric = GroupMetric(
        "true_positive_rate",
        "Recall",
        "higher",
        Estimate(0.5),
        (Estimate(0.25),) * 25,
    )
    groups = tuple(f"g{i}" for i in range(25))
    many = Comparison(("sex",), groups, (7,) * 25, (), 0, (metric,), (GAP,))
    shown = _printed(replace(AUDIT, comparisons=(many,)))
    assert "Positive class: yes (of: no, yes)." in shown
    assert shown.index("TPR") < shown.index("g19") < shown.index("and 5 more") < shown.index("gap")
    assert "g20" not in shown
    assert "0.250" in shown


def test_errors_of_a_regression_keep_their_digits() -> None:
    gap = replace(GAP, metric="mean_absolute_error", estimate=Estimate(4e-4, 1.25e-7, 12345.6, 4))
    comparison = replace(AUDIT.comparisons[0], gaps=(gap,))
    errors = replace(AUDIT, schema=Schema("regression", (), ()), comparisons=(comparison,))
    shown = _printed(errors)
    assert "0.000400" in shown
    assert "1.25e-07 to 12,346" in shown


def test_intervals_are_read_as_conditions_and_equal_ends_have_no_names() -> None:
    subgroup = replace(AUDIT.subgroups[0], where=(("age", ">= 65"), ("sex", "f")))
    even = replace(GAP, estimate=Estimate(0.0, 0.0, 0.1, 4), lowest="f", highest="f")
    comparison = replace(AUDIT.comparisons[0], gaps=(even,))
    shown = _printed(replace(AUDIT, subgroups=(subgroup,), comparisons=(comparison,)))
    assert "age >= 65, sex = f" in shown
    row = next(line for line in shown.splitlines() if line.startswith("Accuracy "))
    assert "f" not in row.removeprefix("Accuracy")


def test_what_the_gate_did_not_check_is_said_after_its_verdicts() -> None:
    verdict = replace(AUDIT.gate[0], condition="equalized_odds_difference @ sex > 0.9")
    shown = _printed(replace(AUDIT, gate=(verdict,), subgroups=()))
    assert "did not check 1 clear gap: accuracy difference by sex, 12.5 points" in shown
    verdict = replace(verdict, condition="accuracy_difference > 0.9")
    assert "did not check" not in _printed(replace(AUDIT, gate=(verdict,), subgroups=()))
