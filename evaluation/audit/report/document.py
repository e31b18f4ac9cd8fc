"""The content of all reports of an audit: one dictionary, of which every page is made.

A test compares the JSON Schema of ``report.json`` with the file, and says how to make it anew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any, Literal

from evaluation.audit.outcome import Audit
from evaluation.audit.report import words, worst
from evaluation.audit.report.head import basis
from evaluation.export import plain

VERSION = 1
"""Of `Document`; it rises when a reader of version 1 would misread the file."""
KIND: Literal["fairfed.audit"] = "fairfed.audit"

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class Document:
    """What ``report.json`` holds."""

    kind: Literal["fairfed.audit"]
    version: Literal[1]  # of this structure
    basis: str  # what was judged: the positive class, or the classes; to be read first
    headline: str  # the main finding in words
    findings: tuple[str, ...]  # what else a reader must know, in words
    helps: tuple[str, ...]  # what would make the gaps smaller
    limits: tuple[str, ...]  # what the numbers do not say
    audit: Audit  # all numbers; undefined ones are null


def document(audit: Audit) -> dict[str, Any]:
    """Plain data of the reports of an audit."""
    data = plain(audit)
    content = {
        "kind": KIND,
        "version": VERSION,
        "basis": basis(data),
        "headline": worst.headline(data),
        "findings": [*([worst.gate(data)] if data["gate"] else []), *words.findings(data)],
        "helps": words.helps(data),
        "limits": words.limits(data),
        "audit": data,
    }
    assert set(content) == {field.name for field in fields(Document)}
    return content


def schema_text() -> str:
    """The JSON Schema as it stands in ``schema.json``."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(Document).json_schema(mode="serialization")
    _relax(schema)
    title = f"Report of a fairness audit by fairfed, version {VERSION}"
    schema = {"$schema": DIALECT, **schema, "title": title}
    return json.dumps(schema, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _relax(node: Any) -> None:
    """Undefined numbers are null, and every field is always there."""
    if isinstance(node, list):
        for item in node:
            _relax(item)
        return
    if not isinstance(node, dict):
        return
    if node.get("type") == "number":
        node["type"] = ["number", "null"]
    elif node.get("type") == "object" and "properties" in node:
        node["required"] = list(node["properties"])
        node["additionalProperties"] = False
        node.pop("title", None)
        # The record's docstring has the fields too, in numpydoc: its first line says what it is.
        if "description" in node:
            node["description"] = node["description"].split("\n\n")[0]
    for key, item in node.items():
        if isinstance(item, dict) and key == "properties":
            for own in item.values():
                if isinstance(own, dict):
                    own.pop("title", None)
                    own.pop("default", None)
        _relax(item)
