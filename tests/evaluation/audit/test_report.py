"""The reports of an audit: what they say, their schema, and that no name breaks them."""

import json
import math
import re
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evaluation
from evaluation.audit import run
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
from evaluation.audit.report import write_reports
from evaluation.audit.report.document import document, schema_text
from evaluation.audit.report.judged import is_finding, state
from evaluation.audit.schema import Axis, Schema
from evaluation.errors import InputError
from evaluation.report.panels import extremes, others
from tests.browser.sample import made_audit
from tests.evaluation.audit.tallies import tally_of

SCHEMA = Path(evaluation.__file__).with_name("audit") / "report" / "schema.json"
VOID = {"meta", "br", "line", "path", "rect", "circle", "polyline", "input"}


class Page(HTMLParser):
    """Collects text and ids, and checks that tags close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text, self.ids, self.links = "", [], []  # type: ignore[var-annotated]
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        assert "src" not in found
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data


def written(audit: Audit, path: Path) -> tuple[dict[str, str], Page]:
    texts = {kind: p.read_text("utf-8") for kind, p in write_reports(audit, path).items()}
    return texts, Page(texts["html"])


def checked(texts: dict[str, str]) -> dict[str, Any]:
    jsonschema = pytest.importorskip("jsonschema")
    content: dict[str, Any] = json.loads(texts["json"])
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(content)
    return content


def regression() -> Audit:
    """Two groups whose mean error differs; no class, no score, no client."""
    own = (Estimate(1.5, 1.2, 1.8, 120, "normal"), Estimate(14.25, 13.0, 15.5, 80, "normal"))
    metric = GroupMetric("mae", "Mean absolute error", "lower", Estimate(6.6, n=200), own)
    gap = Gap(
        "mae_difference", "Mean absolute error difference", "mae", "difference", "between_groups",
        Estimate(12.75, 11.4, 14.1, 200), "a", "b", p_holm=0.001,
    )  # fmt: skip
    by = Comparison(("site",), ("a", "b"), (120, 80), (), 0, (metric,), (gap,))
    schema = Schema("regression", (), (Axis("site", ("a", "b")),))
    return Audit(schema, AuditOptions(), 200, comparisons=(by,))


def empty() -> Audit:
    schema = Schema("classification", ("no", "yes"), (Axis("sex", ()),))
    return Audit(schema, AuditOptions(), 0)


@pytest.mark.parametrize("made", [made_audit, regression, empty])
def test_json_follows_the_schema(made: Any, tmp_path: Path) -> None:
    audit = made()
    texts, _ = written(audit, tmp_path)
    content = checked(texts)
    assert (content["kind"], content["version"]) == ("fairfed.audit", 1)
    assert set(content["audit"]) == {field.name for field in fields(Audit)}
    assert "NaN" not in texts["json"]


def test_the_schema_refuses_what_is_no_report(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    texts, _ = written(made_audit(), tmp_path)
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    for change in (
        lambda c: c.update(version=2),
        lambda c: c["audit"].update(n="few"),
        lambda c: c["audit"].pop("gate"),
        lambda c: c["audit"]["comparisons"][0]["gaps"][0].update(chance="none"),
        lambda c: c["audit"].update(more=1),
    ):
        content = json.loads(texts["json"])
        change(content)
        assert not validator.is_valid(content)


def test_the_schema_in_the_package_is_that_of_the_records() -> None:
    assert SCHEMA.read_text("utf-8") == schema_text(), (
        "write schema_text() of evaluation.audit.report.document to schema.json beside it"
    )


def test_the_same_audit_gives_the_same_bytes_and_leaves_nothing_else(tmp_path: Path) -> None:
    first, _ = written(made_audit(), tmp_path)
    second, _ = written(made_audit(), tmp_path)
    assert first == second
    assert {p.name for p in tmp_path.iterdir()} == {
        "report.html", "report.json", "report.md", "model_card.md",
    }  # fmt: skip


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    texts, page = written(made_audit(), tmp_path)
    assert len(page.ids) == len(set(page.ids))
    assert {link for link in page.links if link} <= {f"#{name}" for name in page.ids}
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", texts["html"])
    assert len(texts["html"]) < 400_000


def test_says_the_main_finding_first(tmp_path: Path) -> None:
    texts, page = written(made_audit(), tmp_path)
    headline = json.loads(texts["json"])["headline"]
    assert headline == (
        "Accuracy differs by 24.5 points between female × >= 65 (60.8\u202f%) and male × < 25 "
        "(85.3\u202f%); 95 % interval 17.1 to 31.9, n = 2\u202f400, chance alone makes up to "
        "5.2 points."
    )
    assert headline in page.text
    for text in (texts["md"], texts["card"]):
        assert headline.replace("<", "\\<") in text
    assert "✘ failed" in page.text
    assert "without losing accuracy" in page.text
    assert "Without clinic C" in texts["md"]
    assert "TO FILL IN" in texts["card"]


def test_no_clear_gap_is_said_and_is_no_proof() -> None:
    audit = made_audit()
    near = tuple(
        replace(c, gaps=tuple(replace(g, p=0.4) for g in c.gaps if g.kind == "difference"))
        for c in audit.comparisons
    )
    content = document(replace(audit, comparisons=near, subgroups=()))
    assert content["headline"].startswith(
        "No gap can be told from chance with these rows. The largest: "
    )
    assert "detectable from" in content["headline"]
    assert any("Not shown is not even" in line for line in content["limits"])


def test_regression_is_written_in_its_own_unit() -> None:
    content = document(regression())
    assert content["headline"] == (
        "Mean absolute error differs by 12.8 between a (1.50) and b (14.2); 95 % interval 11.4 to "
        "14.1, n = 200."
    )


def test_nothing_to_audit_is_said(tmp_path: Path) -> None:
    _, page = written(empty(), tmp_path)
    assert "There is no row: nothing was audited." in page.text


def test_one_group_is_said(tmp_path: Path) -> None:
    audit = made_audit()
    one = audit.comparisons[0]
    metrics = tuple(replace(m, groups=m.groups[:1]) for m in one.metrics)
    alone = replace(one, groups=one.groups[:1], rows=one.rows[:1], metrics=metrics, gaps=())
    _, page = written(replace(audit, comparisons=(alone,)), tmp_path)
    assert "There are not two groups to compare" in page.text
    assert "One group of sex has enough rows" in page.text


def test_names_cannot_break_a_page(tmp_path: Path) -> None:
    bad = '<script>x()</script>"|`'
    audit = made_audit(title=bad, notes=(bad,), source=(bad,))
    named = tuple(replace(c, groups=(bad, *c.groups[1:]), by=(bad,)) for c in audit.comparisons)
    texts, page = written(replace(audit, comparisons=named), tmp_path)
    assert "<script>x" not in texts["html"]
    assert bad in page.text
    for kind in ("md", "card"):
        own = re.sub(r"(?m)^<!-- fairfed: [a-z ]+ -->$", "", texts[kind])
        assert not re.search(r"(?<!\\)<", own)  # a tag cannot start
        assert "&lt;" not in texts[kind]
        tables = [line for line in texts[kind].splitlines() if line.startswith("|")]
        sizes = [len(re.findall(r"(?<!\\)\|", line)) for line in tables]
        rules = [i for i, line in enumerate(tables) if re.fullmatch(r"[|:-]+", line)]
        assert rules
        assert all(sizes[i - 1] == sizes[i] == sizes[i + 1] for i in rules)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"p": 0.04}, "clear"),
        ({"p": 0.05}, "clear"),
        ({"p": 0.06, "chance": 0.01}, "not shown"),
        ({"p": 0.01, "chance": 0.2}, "not shown"),
        ({"p": 0.01, "p_holm": 0.6, "p_bh": 0.6, "chance": 0.05}, "clear"),
        ({"chance": 0.05}, "clear"),
        ({"chance": 0.2}, "not shown"),
        ({}, "clear"),
        ({"low": 0.0}, "not shown"),
        ({"low": None}, "undefined"),
        ({"value": None}, "undefined"),
        ({"kind": "ratio", "high": 0.9}, "clear"),
        ({"kind": "ratio", "high": 1.0}, "not shown"),
    ],
)
def test_a_gap_is_judged_by_its_test_then_chance_then_its_interval(
    changes: dict[str, Any], expected: str
) -> None:
    estimate = {"value": 0.1, "low": 0.05, "high": 0.15}
    gap: dict[str, Any] = {"kind": "difference", "p": None, "chance": None}
    for key, value in changes.items():
        (estimate if key in estimate else gap)[key] = value
    assert state(gap | {"estimate": estimate}, 0.95) == expected


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_reports(made_audit(), taken)


def test_undefined_numbers_are_dashes(tmp_path: Path) -> None:
    audit = made_audit()
    nan = Estimate(math.nan)

    def without(metric: GroupMetric) -> GroupMetric:
        return replace(metric, overall=nan, groups=tuple(nan for _ in metric.groups))

    none = tuple(replace(c, metrics=tuple(map(without, c.metrics))) for c in audit.comparisons)
    texts, page = written(replace(audit, comparisons=none), tmp_path)
    assert "nan %" not in page.text
    assert not re.search(r"\bnan\b", texts["md"] + texts["card"])


def test_the_worst_finding_comes_first() -> None:
    """The largest clear gap of all crosses, or a subgroup that lies further behind."""
    audit = made_audit()
    content = document(audit)["audit"]
    clear = [
        g["estimate"]["value"]
        for c in content["comparisons"]
        for g in c["gaps"]
        if is_finding(g) and state(g, 0.95) == "clear"
    ]
    assert f"differs by {100 * max(clear):.1f} points between" in document(audit)["headline"]
    behind = Subgroup((("age", ">= 65"),), 40, "error_rate", Estimate(0.9, 0.8, 1.0), 0.1, 0.5, 0.3)
    headline = document(replace(audit, subgroups=(behind,)))["headline"]
    assert headline.startswith("Worst subgroup: age >= 65, error rate 90.0")
    unsure = replace(behind, shortfall=-0.1)
    assert "differs by" in document(replace(audit, subgroups=(unsure,)))["headline"]


def test_what_the_gate_did_not_check_stands_beside_held() -> None:
    held = Verdict("accuracy_difference @ sex > 0.9", True, 0.1, 0.0, 0.2, 9, "accuracy is even")
    line = document(made_audit(gate=(held,), subgroups=()))["findings"][0]
    assert line.startswith("Gate: ✔ it held. It did not check ")
    assert "by sex × age, 24.5 points" in line
    several = [f"{name} > 0.9" for name in ("accuracy_difference", "equalized_odds_difference")]
    gate = tuple(replace(held, condition=condition) for condition in several)
    audit = made_audit(gate=gate, subgroups=())
    few = [c for c in audit.comparisons if c.by == ("sex",)]
    line = document(replace(audit, comparisons=tuple(few)))["findings"][0]
    assert line == "Gate: ✔ all 2 conditions held."


def test_equal_groups_are_not_named() -> None:
    audit = made_audit()
    first = audit.comparisons[0]
    even = tuple(replace(g, lowest="female", highest="female", p_holm=0.9) for g in first.gaps)
    audit = replace(audit, comparisons=(replace(first, gaps=even),), subgroups=())
    text = document(audit)["headline"]
    assert "between groups of sex is" in text


def test_many_groups_are_cut_short_on_pages_but_not_in_the_file(tmp_path: Path) -> None:
    """160 × 2 groups: pages stay small; of every metric they show the lowest and the highest."""
    rng = np.random.default_rng(0)
    g, h = np.repeat(np.arange(160), 60), np.tile([0, 1], 4800)
    y = rng.integers(0, 2, 9600)
    wrong = rng.random(9600) < 0.2
    wrong[g == 7] = True
    found = run.audit(tally_of(y, y ^ wrong, {"g": g, "h": h}), AuditOptions(replicates=0))
    texts, page = written(found, tmp_path)
    assert len(json.loads(texts["json"])["audit"]["comparisons"][2]["groups"]) == 320
    assert len(texts["html"]) < 1_500_000
    assert len(texts["md"]) + len(texts["card"]) < 60_000
    for text in (page.text, texts["md"], texts["card"]):
        assert "7 × 0" in text  # the worst one
        assert "The lowest and the highest of 320 groups; 300 others: report.json." in text


def test_a_table_of_many_shows_both_ends() -> None:
    values = [0.5, None, 0.1, 0.9, 0.2, 0.8]
    assert extremes(values, 4) == [2, 3, 4, 5]
    assert extremes(values, 6) == [0, 1, 2, 3, 4, 5]
    assert extremes([None, 1.0, None], 2) == [1]
    assert others(6, 6) == ""
