"""The gate: what conditions mean, which number decides, and what cannot be audited."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.audit.gate import (
    BOUNDS,
    SCOPES,
    check_gate,
    judge,
    parse_condition,
)
from evaluation.audit.gate_names import COMPARATORS, Condition, names_of
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import (
    NAN,
    Audit,
    Comparison,
    Estimate,
    Gap,
    GroupMetric,
    ScoreComparison,
    ScoreMetric,
    Verdict,
)
from evaluation.audit.schema import Schema
from evaluation.errors import InputError


def _gap(value: float, low: float, high: float, **more: object) -> Gap:
    estimate = Estimate(value, low, high, 1234, "bootstrap")
    return replace(
        Gap("equalized_odds_difference", "Equalized odds difference", "equalized_odds",
            "difference", "between_groups", estimate),
        **more,
    )  # fmt: skip


ACCURACY = GroupMetric(
    "accuracy", "Accuracy", "higher", Estimate(0.8, 0.78, 0.82, 1300, "wilson"),
    (Estimate(0.9, 0.88, 0.92, 900), Estimate(0.6, 0.5, 0.75, 50), Estimate(0.65, 0.6, 0.69, 350)),
)  # fmt: skip
FPR = GroupMetric(
    "false_positive_rate", "False positive rate", "lower", Estimate(0.2, 0.1, 0.3, 700),
    (Estimate(0.1, 0.05, 0.2, 500), Estimate(NAN, n=0), Estimate(0.4, 0.2, 0.6, 200)),
)  # fmt: skip
RACE = Comparison(
    ("race",), ("x", "y", "z"), (900, 50, 350), (), 0, (ACCURACY, FPR),
    (_gap(0.15, 0.08, 0.22, chance=0.05), replace(_gap(0.7, 0.6, 0.9), name="accuracy_ratio")),
)  # fmt: skip
SEX = Comparison(("sex",), ("f", "m"), (600, 700), (), 0, (), (_gap(0.05, 0.01, 0.3),))
BOTH = Comparison(("sex", "race"), ("f × x",), (90,), (), 0, (), (_gap(NAN, NAN, NAN),))
AUC = ScoreMetric("roc_auc", "ROC AUC", "higher", "yes", Estimate(0.8, 0.7, 0.9, 9), ())
SCORES = ScoreComparison(("sex",), (), (AUC,), (), (), ())
AUDIT = Audit(
    Schema("classification", ("no", "yes"), ()), AuditOptions(), 1300,
    comparisons=(RACE, SEX, BOTH), scores=(SCORES,),
)  # fmt: skip


def _one(text: str, audit: Audit = AUDIT) -> Verdict:
    (verdict,) = judge(audit, [parse_condition(text)])
    return verdict


def test_the_worst_comparison_decides_in_words() -> None:
    verdict = _one("equalized_odds_difference  > 0.1")
    assert verdict == Verdict(
        "equalized_odds_difference > 0.1", False, 0.15, 0.08, 0.22, 1234, verdict.message
    )
    assert verdict.message == (
        "Equalized odds difference is 0.15 (95 % interval 0.08 to 0.22, n = 1,234) over race; "
        "this is above the limit of 0.1; the interval reaches to both sides of the limit; "
        "chance alone makes up to 0.05; undefined over sex × race"
    )


@pytest.mark.parametrize(
    ("text", "held", "value"),
    [
        ("equalized_odds_difference > 0.15", True, 0.15),
        ("equalized_odds_difference >= 0.15", False, 0.15),
        ("equalized_odds_difference @ sex > 0.1", True, 0.05),
        ("value(equalized_odds_difference) @ race > 0.1", False, 0.15),
        # Of the ends, those of the comparison whose end is the furthest decide.
        ("lower(equalized_odds_difference) > 0.1", True, 0.15),
        ("upper(equalized_odds_difference) > 0.25", False, 0.05),
        ("accuracy_ratio < 0.8", False, 0.7),
        ("accuracy_score_ratio <= 0.69", True, 0.7),
        ("min(accuracy) < 0.7", False, 0.6),
        ("max(accuracy) < 0.95", False, 0.9),
        # The group with the lowest value has an interval up to 0.75; another's ends at 0.69.
        ("upper(min(accuracy)) < 0.7", False, 0.65),
        ("lower( min( accuracy_score ) ) < 0.4", True, 0.6),
        ("overall(accuracy) < 0.8", True, 0.8),
        ("accuracy < 0.9", False, 0.8),
        ("max(false_positive_rate) > 0.3", False, 0.4),
        ("min(false_positive_rate)@race>0.09", False, 0.1),
        ("roc_auc < 0.75", True, 0.8),
    ],
)
def test_conditions(text: str, held: bool, value: float) -> None:
    verdict = _one(text)
    assert (verdict.held, verdict.value) == (held, value)


def test_a_group_is_named() -> None:
    verdict = _one("min(accuracy) < 0.5")
    assert verdict.n == 50
    assert verdict.message.startswith(
        "Accuracy is 0.6 (95 % interval 0.5 to 0.75, n = 50) for y (race); this is not below"
    )


def test_ends_of_a_gap_and_of_the_interval_are_named() -> None:
    gap = _gap(0.15, 0.08, 0.22, lowest="f", highest="m")
    audit = replace(AUDIT, comparisons=(replace(SEX, gaps=(gap,)),))
    message = _one("lower(equalized_odds_difference) > 0.1", audit).message
    assert "the lower end is not above the limit of 0.1; lowest for f, highest for m" in message


@pytest.mark.parametrize("columns", ["sex × race", "race,sex", " race ×  sex "])
def test_crosses_in_any_order(columns: str) -> None:
    gap = _gap(0.4, 0.3, 0.5)
    audit = replace(AUDIT, comparisons=(RACE, SEX, replace(BOTH, gaps=(gap,))))
    assert _one(f"equalized_odds_difference @ {columns} > 0.2", audit).value == 0.4


@pytest.mark.parametrize("column", ["age, in years", "a×b", "x > y", "p @ q", "a <= 3"])
def test_columns_of_any_name(column: str) -> None:
    audit = replace(AUDIT, comparisons=(RACE, replace(SEX, by=(column,))))
    assert _one(f"equalized_odds_difference @ {column} > 0.02", audit).value == 0.05


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("equalised_odds_difference > 0.1", "did you mean equalized_odds_difference"),
        ("min(acuracy) < 0.7", "no metric by group 'acuracy' in this audit; did you mean accuracy"),
        ("max(equalized_odds_difference) > 0.1", "no metric by group"),
        ("qqq > 1", "there are: accuracy, accuracy_ratio, equalized_odds_difference"),
        ("accuracy @ age > 0.1", "columns 'age' are not compared; those that are: 'race', 'sex'"),
        ("accuracy @ sex > 0.1", "no gap or metric 'accuracy'"),
    ],
)
def test_what_cannot_be_audited(text: str, words: str) -> None:
    with pytest.raises(InputError, match="(?s)" + words):
        _one(text)


def _unjudged(text: str, audit: Audit) -> str:
    """The reason why a condition could not be audited."""
    verdict = _one(text, audit)
    assert not verdict.audited
    assert not verdict.held
    assert verdict.message.startswith(text)
    return verdict.message


def test_undefined_everywhere_and_no_interval_are_not_audited() -> None:
    only = replace(AUDIT, comparisons=(BOTH,))
    assert "is undefined over sex × race (too few" in _unjudged(
        "equalized_odds_difference > 0.1", only
    )
    assert "over sex × race" in _unjudged("equalized_odds_difference @ sex,race > 0.1", AUDIT)
    bare = replace(AUDIT, comparisons=(RACE, replace(SEX, gaps=(_gap(0.01, NAN, NAN),))))
    assert not _one("equalized_odds_difference > 0.1", bare).held
    assert _one("lower(equalized_odds_difference) > 0.05", bare).audited  # it fails over race
    reason = _unjudged("lower(equalized_odds_difference) > 0.1", bare)
    assert "has no interval over sex" in reason
    unbounded = replace(ACCURACY, groups=(*ACCURACY.groups[:2], Estimate(0.99, n=5)))
    partly = replace(AUDIT, comparisons=(replace(RACE, metrics=(unbounded,)),))
    assert "has no interval for z" in _unjudged("upper(min(accuracy)) < 0.1", partly)
    nobody = replace(ACCURACY, groups=(Estimate(NAN),) * 3)
    missing = replace(AUDIT, comparisons=(replace(RACE, metrics=(nobody,)),))
    assert "undefined in every group of race" in _unjudged("min(accuracy) < 1", missing)
    with pytest.raises(InputError, match="compares no groups"):
        _one("accuracy < 0.1", replace(AUDIT, comparisons=(), scores=()))


def test_what_lacks_a_part_can_fail_but_not_hold() -> None:
    lacks = ("false positive rate alone", "true positive rate is not defined for f")
    own = _gap(0.05, 0.0, 0.1)
    gap = replace(own, estimate=replace(own.estimate, lacks=lacks))
    part = replace(AUDIT, comparisons=(RACE, replace(SEX, gaps=(gap,))))
    reason = _unjudged("equalized_odds_difference > 0.2", part)
    assert "over sex is not defined in every part: false positive rate alone; true" in reason
    failed = _one("equalized_odds_difference @ sex > 0.01", part)
    assert failed.audited
    assert not failed.held
    assert "; false positive rate alone; true positive rate is not defined for f" in failed.message
    assert _one("equalized_odds_difference > 0.1", part).audited  # it fails over race
    assert _one("equalized_odds_difference @ race > 0.2", part).held


def test_a_group_without_a_rate_is_not_passed_over() -> None:
    reason = _unjudged("max(false_positive_rate) > 0.5", AUDIT)
    assert "False positive rate for z (race) is not defined in every part: it is not" in reason
    assert "defined for y" in reason


KNOWN = names_of(
    "classification", ("sex", "race"), AuditOptions(replicates=0), scored=False, classes=2
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("equalised_odds_difference > 0.1", "did you mean equalized_odds_difference"),
        ("roc_auc < 0.7", "no gap or metric 'roc_auc'"),
        ("max(accuracy_difference) > 0.1", "no metric by group 'accuracy_difference'"),
        ("accuracy @ age < 0.1", "'age' are not compared; those that are: 'sex', 'race', 'sex × r"),
        ("lower(accuracy_difference) > 0.1", "without bootstrap replicates"),
    ],
)
def test_names_are_checked_before_anything_is_read(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_gate([parse_condition(text)], KNOWN)


@pytest.mark.parametrize(
    "text",
    ["equalized_odds_ratio_mean < 0.1", "min(selection_rate) @ race × sex < 0.1",
     "accuracy_score_difference_to_overall > 0", "overall(recall) < 0.5", "prevalence_ratio < 1"],
)  # fmt: skip
def test_names_that_an_audit_has_pass(text: str) -> None:
    check_gate([parse_condition(text)], KNOWN)


def test_names_follow_what_is_computed() -> None:
    few = AuditOptions(metrics=("accuracy",), by=(("sex",),))
    known = names_of("classification", ("sex", "race"), few, scored=True)
    check_gate([parse_condition("roc_auc_difference > 0.1")], known)
    for text in ("f1 < 0.1", "equalized_odds_difference > 0.1", "accuracy @ race < 0.1"):
        with pytest.raises(InputError):
            check_gate([parse_condition(text)], known)
    many = names_of("classification", ("sex",), AuditOptions(), scored=False, classes=3)
    with pytest.raises(InputError, match="no metric by group 'selection_rate'"):
        check_gate([parse_condition("min(selection_rate) < 0.1")], many)
    errors = names_of("regression", ("sex",), AuditOptions(), scored=False)
    check_gate([parse_condition("mean_absolute_error_ratio < 0.5")], errors)
    with pytest.raises(InputError, match="no gap or metric 'mean_error_ratio'"):
        check_gate([parse_condition("mean_error_ratio < 0.5")], errors)
    with pytest.raises(InputError, match="no sensitive column 'age'"):
        names_of("regression", ("sex",), AuditOptions(by=(("age",),)), scored=False)


def test_scores_of_several_classes_are_told_apart() -> None:
    other = replace(SCORES, metrics=(replace(AUC, scored="no", overall=Estimate(0.6, n=9)),))
    audit = replace(AUDIT, scores=(SCORES, other))
    assert _one("roc_auc < 0.7", audit).message.startswith("ROC AUC of the score for no is 0.6")


@pytest.mark.parametrize(
    "text",
    ["", "accuracy", "accuracy 0.1", "accuracy == 0.1", "accuracy > x", "accuracy > nan",
     "accuracy > inf", "> 0.1", "accuracy @ > 0.1", "mean(accuracy) > 0.1", "min(lower(a)) > 1",
     "lower(accuracy > 0.1", "accuracy > 0.1 > 0.2", "two words > 0.1", "accuracy => 0.1"],
)  # fmt: skip
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(InputError, match="is not understood"):
        parse_condition(text)


SPACE = st.text(" \t", max_size=2)
COLUMNS = st.text(min_size=1, max_size=12).map(str.strip).filter(bool)


@given(
    name=st.from_regex(r"[a-z][a-z_0-9]{0,20}", fullmatch=True),
    comparator=st.sampled_from(sorted(COMPARATORS)),
    number=st.floats(allow_nan=False, allow_infinity=False),
    bound=st.sampled_from(BOUNDS),
    scope=st.sampled_from([None, *SCOPES]),
    columns=st.one_of(st.just(""), COLUMNS),
    space=SPACE,
)
def test_every_condition_that_can_be_written_is_read(
    name: str, comparator: str, number: float, bound: str, scope: str | None, columns: str,
    space: str,
) -> None:  # fmt: skip
    inner = name if scope is None else f"{scope}{space}({space}{name}{space})"
    quantity = f"{bound}({inner})" if bound != "value" else inner
    at = f"{space}@{space}{columns} " if columns else ""
    condition = parse_condition(f"{space}{quantity}{at}{space}{comparator}{space}{number!r}{space}")
    read = (condition.name, condition.comparator, condition.number, condition.bound)
    assert read == (name, comparator, number, bound)
    assert (condition.scope, condition.columns) == (scope, columns)


@given(st.one_of(st.text(), st.text(alphabet="a(),@<>=.0 ×min")))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        condition = parse_condition(text)
    except InputError:
        return
    assert isinstance(condition, Condition)
    assert condition.name in text
