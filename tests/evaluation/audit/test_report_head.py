"""What stands first in every report, and what stays in a model card."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest

from evaluation.audit.options import AuditOptions
from evaluation.audit.report import write_reports
from evaluation.audit.report.document import document
from evaluation.audit.report.head import basis, rates
from evaluation.audit.schema import Schema
from evaluation.errors import InputError
from evaluation.export import plain
from tests.browser.sample import made_audit


@pytest.mark.parametrize(
    ("classes", "positive", "said"),
    [
        (("no", "yes"), None, "Positive class: yes (of: no, yes)."),
        (("yes", "no"), "no", "Positive class: no (of: yes, no)."),
        (("cat", "dog"), None, "Two classes, neither of them positive: cat, dog."),
        (("yes",), "yes", "One class only: yes."),
        ((), None, "No class occurs."),
        (("a", "b", "c"), None, "3 classes: a, b, c. Rates are of each against the rest, "),
        (tuple(map(str, range(20))), None, "9, 10, 11 and 8 more. "),
    ],
)
def test_what_was_judged_is_one_sentence(
    classes: tuple[str, ...], positive: str | None, said: str
) -> None:
    schema = Schema("classification", classes, (), positive=positive)
    found = basis(plain(made_audit(schema=schema)))
    assert said.split(", and then")[0].rstrip(", ") in found
    worst = plain(made_audit(AuditOptions(across="worst"), schema=schema))
    assert ("worst class" in basis(worst)) == (len(classes) > 2)


def test_a_regression_says_what_its_errors_are() -> None:
    found = basis(plain(made_audit(schema=Schema("regression", (), ()))))
    assert found == "Regression: errors are prediction less truth."


def test_the_rates_of_groups_come_first_and_scores_after_them() -> None:
    audit = plain(made_audit())
    titles = [[own["short"] for own in rates(audit, item)] for item in audit["comparisons"]]
    assert titles[0] == ["Selected", "TPR", "FPR", "AUC", "ECE"]
    assert titles[2] == ["Selected", "TPR", "FPR"]
    three = Schema("classification", ("a", "b", "c"), ())
    many = plain(made_audit(schema=three))
    assert [own["title"] for own in rates(many, many["comparisons"][2])] == ["Accuracy"]


def test_every_report_says_it_before_any_finding(tmp_path: Path) -> None:
    audit = made_audit()
    texts = {kind: path.read_text("utf-8") for kind, path in write_reports(audit, tmp_path).items()}
    said = "Positive class: urgent (of: routine, urgent)."
    headline = document(audit)["headline"]
    assert json.loads(texts["json"])["basis"] == said
    for kind in ("html", "md", "card"):
        text = html.unescape(texts[kind]).replace("\\", "")
        body = text[text.index("<body>") :] if kind == "html" else text
        first_rate = body.index("True positive rate" if "True positive rate" in body else "Recall")
        assert body.index(said) < first_rate < body.index(headline)


def test_what_a_person_wrote_in_the_card_stays(tmp_path: Path) -> None:
    card = write_reports(made_audit(), tmp_path)["card"]
    first = card.read_text("utf-8")
    theirs = first.replace("**TO FILL IN**", "Dr. Ott, <2026>").replace(
        "## Limits and risks", "## Our notes\n\nKeep & read.\n\n## Limits and risks"
    )
    card.write_text(theirs, "utf-8")
    write_reports(made_audit(n=1234, title="Third quarter"), tmp_path)
    again = card.read_text("utf-8")
    assert "# Model card: Third quarter" in again
    assert "1\u202f234 rows" in again
    assert "2\u202f418 rows" not in again
    assert again.count("Dr. Ott, <2026>") == first.count("**TO FILL IN**")
    assert "## Our notes\n\nKeep & read." in again
    write_reports(made_audit(), tmp_path)
    assert card.read_text("utf-8") == theirs


@pytest.mark.parametrize(
    "theirs",
    [
        "# Our card\n",
        "<!-- fairfed: begin title -->\n# ours",
        "<!-- fairfed: begin title -->\nx\n<!-- fairfed: end title -->\n"
        "<!-- fairfed: begin title -->\nx\n<!-- fairfed: end title -->\n",
    ],
)
def test_a_card_without_sound_marks_is_left_alone(theirs: str, tmp_path: Path) -> None:
    mine = tmp_path / "model_card.md"
    mine.write_text(theirs)
    for title in ("First", "Second"):
        beside = write_reports(made_audit(title=title), tmp_path)["card"]
        assert beside == tmp_path / "model_card.new.md"
        assert f"# Model card: {title}" in beside.read_text("utf-8")
        assert mine.read_text() == theirs
    beside.write_bytes(b"\xff")
    (tmp_path / "report.md").write_text("old")
    with pytest.raises(InputError, match=r"model_card\.new\.md are there without fairfed's marks"):
        write_reports(made_audit(), tmp_path)
    assert (tmp_path / "report.md").read_text() == "old"
