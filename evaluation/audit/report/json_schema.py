"""The JSON Schema of ``report.json``, generated from the records it is made of.

``python -m evaluation.audit.report.json_schema`` prints it; a test compares it with the file.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from evaluation.audit.report.document import VERSION, Document

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def build() -> dict[str, Any]:
    """The schema as plain data."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(Document).json_schema(mode="serialization")
    _relax(schema)
    title = f"Report of a fairness audit by fairfed, version {VERSION}"
    return {"$schema": DIALECT, **schema, "title": title}


def text() -> str:
    """The schema as it stands in ``schema.json``."""
    return json.dumps(build(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


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


if __name__ == "__main__":
    sys.stdout.write(text())
