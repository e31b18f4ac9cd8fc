"""Which studies a person at the site has looked at and approved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evaluation.files import json_lines, write_whole
from fairfed.config import FederationConfig
from fairfed.config.site import SitePolicy
from generators.writing import append_whole, explained
from semantic.errors import InputError

APPROVED = "approved.jsonl"
"""A line for each time that a study was approved, or no longer, in the state directory."""
ASKED = "asked"
"""Folder there of studies that were refused, as they were sent, for a person to look at."""
NOT_APPROVED = (
    "study {name!r}, fingerprint {mark}, has been approved by nobody here. Look at it, and approve "
    "it with: fairfed site approve site.toml {path}"
)
DAMAGED = "{path}: line {line} is damaged; mend or remove it: whoever wrote it approved a study"


class NotApprovedError(InputError):
    """A study that no person of the site has approved; the server learns that much."""


def permitted(policy: SitePolicy, study: FederationConfig, folder: Path) -> bool:
    """Whether a site, by its state directory, may take part, as far as that is up to a person."""
    if policy.approve == "any" and not policy.studies:
        return True
    return study.fingerprint in policy.studies or study.fingerprint in approved(folder)


def require_permitted(policy: SitePolicy, study: FederationConfig, folder: Path) -> None:
    """Refuse a study that is not permitted, and keep it for a person to look at and approve."""
    if permitted(policy, study, folder):
        return
    mark = study.fingerprint
    path = folder / ASKED / f"{mark[:16]}.json"
    if not path.is_file():
        with explained(path):
            write_whole(path, study.to_json().encode())
    raise NotApprovedError(NOT_APPROVED.format(name=study.name, mark=mark, path=path))


def approved(folder: Path) -> dict[str, dict[str, Any]]:
    """Studies that are approved, by fingerprint: name and time of each."""
    found: dict[str, dict[str, Any]] = {}
    for entry in _lines(folder / APPROVED):
        if entry["approved"]:
            found[entry["fingerprint"]] = entry
        else:
            found.pop(entry["fingerprint"], None)
    return found


def approve(study: FederationConfig, folder: Path, yes: bool = True) -> None:
    """Note that a study is approved from now on, or no longer."""
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "study": study.name,
        "fingerprint": study.fingerprint,
        "approved": yes,
    }
    path = folder / APPROVED
    with explained(path):
        folder.mkdir(parents=True, exist_ok=True)
    append_whole(path, (json.dumps(entry, ensure_ascii=False) + "\n").encode())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    for number, line in enumerate(json_lines(path.read_text(encoding="utf-8")), 1):
        try:
            entry = json.loads(line)
            yield {name: entry[name] for name in ("time", "study", "fingerprint", "approved")}
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(DAMAGED.format(path=path, line=number)) from error
