"""JUnit XML: well formed whatever the text, and of the structure that readers expect."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from evaluation.audit.junit import junit_xml
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Audit, Verdict
from evaluation.audit.schema import Axis, Schema

HELD = Verdict("accuracy < 0.5", True, 0.9, 0.8, 0.95, 1234, "Accuracy is 0.9 (n = 1,234)")
FAILED = Verdict("min(accuracy) < 0.7", False, 0.6, 0.5, 0.7, 30, "Accuracy is 0.6 (n = 30)")
AUDIT = Audit(
    Schema("classification", ("no", "yes"), (Axis("sex", ("f", "m")),)), AuditOptions(), 1234,
    title="Loans <2024>", source=("a.csv",), gate=(HELD, FAILED), versions={"fairfed": "0.1.0"},
)  # fmt: skip

# Attributes and children that the schemas of Ant and Jenkins both allow (required first).
ALLOWED = {
    "testsuites": ({"tests", "failures", "errors", "time", "name"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "time", "skipped"},
        {"properties", "testcase"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname", "time"}, {"error", "failure", "system-out"}),
    "error": ({"message", "type"}, set()),
    "failure": ({"message", "type"}, set()),
    "system-out": (set(), set()),
}


def _parsed(audit: Audit) -> ET.Element:
    return ET.fromstring(junit_xml(audit).encode())


def _check(element: ET.Element) -> None:
    attributes, children = ALLOWED[element.tag]
    assert set(element.attrib) == attributes
    assert {child.tag for child in element} <= children
    for name in {"tests", "failures", "errors", "skipped"} & set(element.attrib):
        assert int(element.attrib[name]) >= 0
    assert float(element.get("time", "0")) >= 0
    for child in element:
        _check(child)


def test_one_case_each_with_its_message() -> None:
    root = _parsed(AUDIT)
    _check(root)
    (suite,) = root
    assert suite.get("name") == "Loans <2024>"
    assert [suite.get(key) for key in ("tests", "failures", "errors")] == ["2", "1", "0"]
    held, failed = suite.findall("testcase")
    assert held.get("name") == "accuracy < 0.5"
    assert held.find("failure") is None
    assert held.findtext("system-out") == HELD.message
    failure = failed.find("failure")
    assert failure is not None
    assert failure.get("message") == FAILED.message
    assert failure.text == f"{FAILED.condition}\n{FAILED.message}"
    properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert properties == {
        "n": "1234", "level": "0.95", "seed": "0", "columns": "sex", "source": "a.csv",
        "version of fairfed": "0.1.0",
    }  # fmt: skip


def test_what_could_not_be_audited_is_an_error() -> None:
    unknown = replace(FAILED, audited=False)
    root = _parsed(replace(AUDIT, gate=(HELD, FAILED, unknown)))
    _check(root)
    assert [root.get(key) for key in ("tests", "failures", "errors")] == ["3", "1", "1"]
    (error,) = root.iter("error")
    assert error.get("message") == FAILED.message


def test_no_condition_gives_an_empty_suite() -> None:
    root = _parsed(replace(AUDIT, gate=()))
    _check(root)
    assert root.get("tests") == "0"


@given(text=st.text(), held=st.booleans())
def test_any_text_stays_well_formed(text: str, held: bool) -> None:
    verdict = replace(HELD, condition=text, message=text, held=held)
    audit = replace(AUDIT, title=text, source=(text,), gate=(verdict,), versions={text: text})
    root = _parsed(audit)
    _check(root)
    name = root[0].get("name") or ""
    assert len(name) == len(text)
    assert all(a in (b, "\ufffd") for a, b in zip(name, text, strict=True))
