"""The content of all reports of an audit: one dictionary, of which every page is made."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from evaluation.audit.outcome import Audit
from evaluation.audit.report import words, worst
from evaluation.audit.report.head import basis
from evaluation.export import plain

VERSION = 1
"""Of `Document`; it rises when a reader of version 1 would misread the file."""
KIND: Literal["fairfed.audit"] = "fairfed.audit"


@dataclass(frozen=True)
class Document:
    """What ``report.json`` holds.

    Parameters
    ----------
    kind : str
        Always ``fairfed.audit``.
    version : int
        Of this structure.
    basis : str
        What was judged, in words: the positive class, or the classes. To be read first.
    headline : str
        The main finding in words.
    findings : tuple of str
        What else a reader must know, in words.
    helps : tuple of str
        What would make the gaps smaller.
    limits : tuple of str
        What the numbers do not say.
    audit : Audit
        All numbers; undefined ones are null.
    """

    kind: Literal["fairfed.audit"]
    version: Literal[1]
    basis: str
    headline: str
    findings: tuple[str, ...]
    helps: tuple[str, ...]
    limits: tuple[str, ...]
    audit: Audit


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
