"""The verdicts of a gate as JUnit XML, which every continuous integration displays.

Elements and attributes are those that the schemas of Ant and of Jenkins share: ``testsuite`` with
``tests``, ``failures``, ``errors``, ``skipped`` and ``time``, then properties, then test cases. An
audit knows no clock, so that the same counts give the same bytes: times are 0.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from evaluation.audit.outcome import Audit, Verdict
from evaluation.audit.tally import CROSSED

CLASS = "fairfed.audit"
TIME = "0"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write."""


def junit_xml(audit: Audit) -> str:
    """Write the verdicts of an audit, one test case each.

    Parameters
    ----------
    audit : Audit
        With `Audit.gate` judged.

    Returns
    -------
    str
        A document, to be saved as UTF-8. A character that XML cannot hold becomes U+FFFD.
    """
    errors = sum(not verdict.audited for verdict in audit.gate)
    failures = sum(not verdict.held for verdict in audit.gate) - errors
    counts = {
        "tests": str(len(audit.gate)), "failures": str(failures), "errors": str(errors)
    }  # fmt: skip
    root = ET.Element("testsuites", {"name": _text(audit.title), **counts, "time": TIME})
    suite = ET.SubElement(
        root, "testsuite", {"name": _text(audit.title), **counts, "skipped": "0", "time": TIME}
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(audit).items():
        ET.SubElement(properties, "property", {"name": _text(name), "value": _text(value)})
    for verdict in audit.gate:
        _case(suite, verdict)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _properties(audit: Audit) -> dict[str, str]:
    versions = {f"version of {name}": text for name, text in sorted(audit.versions.items())}
    return {
        "n": str(audit.n),
        "level": f"{audit.options.level:g}",
        "seed": str(audit.options.seed),
        "columns": CROSSED.join(audit.schema.names),
        "source": ", ".join(audit.source),
        **versions,
    }


def _case(suite: ET.Element, verdict: Verdict) -> None:
    name = _text(verdict.condition)
    attributes = {"name": name, "classname": CLASS, "time": TIME}
    case = ET.SubElement(suite, "testcase", attributes)
    message = _text(verdict.message)
    if verdict.held:
        ET.SubElement(case, "system-out").text = message
        return
    tag, kind = ("failure", "LimitExceeded") if verdict.audited else ("error", "NotAudited")
    failure = ET.SubElement(case, tag, {"message": message, "type": kind})
    failure.text = f"{name}\n{message}"


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
