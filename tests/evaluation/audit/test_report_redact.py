"""Small counts stay out of everything that is written."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Audit, Estimate, Subgroup, Verdict
from evaluation.audit.report import write_reports
from evaluation.audit.report.document import document
from evaluation.audit.report.redact import redacted_text
from tests.browser.sample import made_audit, rate


def counts(node: Any, key: str = "") -> list[int | str]:
    """Every value of a field that counts rows."""
    if isinstance(node, dict):
        return [n for name, item in node.items() for n in counts(item, name)]
    if isinstance(node, list):
        return [n for item in node for n in counts(item, key)]
    return [node] if key in ("n", "rows", "suppressed_rows") else []


def small() -> Audit:
    """An audit with three rows of one group, and two cases in another."""
    audit = made_audit(AuditOptions(redact=5, min_group=1))
    first = audit.comparisons[0]
    metrics = tuple(
        replace(m, groups=(rate(1, 3), rate(2, 2397)) if m.name == "accuracy" else m.groups)
        for m in first.metrics
    )
    few = replace(first, rows=(3, 2397), suppressed=(), suppressed_rows=18, metrics=metrics)
    subgroup = Subgroup((("sex", "female"),), 4, "error_rate", rate(3, 4), 0.2, 0.1, 0.2)
    verdict = Verdict("max(accuracy) < 1", False, 0.33, 0.1, 0.7, 3, "accuracy 33 %, n = 3")
    return replace(
        audit,
        comparisons=(few, *audit.comparisons[1:]),
        subgroups=(subgroup,),
        gate=(verdict,),
        notes=("4 rows had no value of sex", "1,204 rows are weighted, 12 rows dropped (n = 2)"),
    )


def test_no_small_count_is_left(tmp_path: Path) -> None:
    paths = write_reports(small(), tmp_path)
    content = json.loads(paths["json"].read_text("utf-8"))
    assert all(isinstance(n, str) or n == 0 or n > 5 for n in counts(content["audit"]))
    assert content["audit"]["notes"] == [
        "<= 5 rows had no value of sex", "1,204 rows are weighted, 12 rows dropped (n <= 5)",
    ]  # fmt: skip
    for path in paths.values():
        text = re.sub(r"<(style|script)>.*?</\1>", "", path.read_text("utf-8"), flags=re.S)
        assert not re.search(r"\bn = [1-5]\b(?![.,\u202f\d])", text)
        assert "33 %" not in text


def test_what_rests_on_few_rows_or_few_cases_is_withheld() -> None:
    first = document(small())["audit"]["comparisons"][0]
    few, rare = next(m for m in first["metrics"] if m["name"] == "accuracy")["groups"]
    assert (few["value"], few["low"], few["n"]) == (None, None, "<= 5")
    assert (rare["value"], rare["high"]) == (None, None)
    gap = next(g for g in first["gaps"] if g["name"] == "accuracy_difference")
    assert gap["estimate"]["value"] is None
    joined = next(g for g in first["gaps"] if g["name"] == "equalized_odds_difference")
    assert joined["estimate"]["value"] is None


def test_a_small_part_cannot_be_had_by_subtraction() -> None:
    """One group alone is small, the total is known: the next smallest is rounded."""
    audit = made_audit(AuditOptions(redact=20))
    first = document(audit)["audit"]["comparisons"][0]
    assert first["suppressed_rows"] == "<= 20"
    assert first["rows"] == [1501, "about 900"]
    shown = [m["overall"]["n"] for m in first["metrics"]]
    shown += [g["estimate"]["n"] for g in first["gaps"] if g["estimate"]["n"]]
    assert all(isinstance(n, str) for n in shown)
    gate = document(audit)["audit"]["gate"]
    assert [v["n"] for v in gate] == [2418, "about 300"]  # that of everyone is known
    assert gate[1]["message"].endswith("n about 300)")
    values = [e["value"] for m in first["metrics"] for e in m["groups"]]
    assert all(v == round(v, 2) for v in values if v is not None)


def test_small_bins_of_scores_and_small_clients_are_withheld() -> None:
    audit = made_audit(AuditOptions(redact=60))
    content = document(audit)["audit"]
    own = content["scores"][0]
    sizes = [1180, 1220]
    for densities, before, n in zip(
        own["densities"], audit.scores[0].densities, sizes, strict=True
    ):
        for shown, share in zip(densities, before, strict=True):
            assert (shown is None) == (1 <= round(share * n) <= 60)
    rates = [rate for _, rate, n in own["calibration"][0]]
    assert None in rates
    few = made_audit(
        AuditOptions(redact=500),
        contributions=made_audit().contributions,
    )
    clients = document(few)["audit"]
    assert clients["contributions"][3]["own"] is None
    assert clients["clients"]["accuracies"][3] is None
    assert clients["clients"]["worst"] is None


def test_without_redaction_nothing_changes() -> None:
    assert document(made_audit())["audit"]["comparisons"][0]["suppressed_rows"] == 18


@given(st.integers(1, 50), st.integers(0, 10_000))
def test_texts_keep_large_counts_and_lose_small_ones(most: int, n: int) -> None:
    text = redacted_text(f"{n:,} rows were dropped (n = {n})", most)
    if 1 <= n <= most:
        assert text == f"<= {most} rows were dropped (n <= {most})"
    else:
        assert text == f"{n:,} rows were dropped (n = {n})"


@pytest.mark.parametrize(
    "text", ["95 % interval 1.5 to 3", "2.5 rows per second", "p = 3", "fewer than 3 rows"]
)
def test_other_numbers_stay(text: str) -> None:
    assert redacted_text(text, 5) == text


def test_a_verdict_on_few_rows_keeps_its_word() -> None:
    verdict = document(small())["audit"]["gate"][0]
    assert verdict["message"] == (
        "max(accuracy) < 1: failed; numbers withheld, they rest on <= 5 rows"
    )
    assert verdict["value"] is None
    assert Estimate(0.5).how == "none"
