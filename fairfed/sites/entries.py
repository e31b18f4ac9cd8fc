"""What a line of a site's ledger says: of a message, what was asked; of an answer, what left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from fairfed.config.systems import MESSAGES
from fairfed.engines.private import records_to_bytes
from fairfed.sites.policy import UNSAID, counts_as_training, too_many
from fairfed.sites.receipts import digest_of
from fairfed.sites.request import UNDER_WAY
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.config.site import SitePolicy
    from fairfed.sites.request import Request

COUNTED = "counts"
"""Record of an audit's answer."""
NAMED = "arm", "meta", "phase"
"""What tells trainings of a round apart."""
MOST = 80
"""Letters that are kept of a name in a request."""


def asked(request: Request) -> dict[str, Any]:
    """When a message came, by which study, and what it asks; also of one that cannot be read."""
    sent: Mapping[str, Any] = request.message.content.config_records.get("config", {})
    kind, number = request.message.metadata.message_type, sent.get("round", 0)
    said: dict[str, Any] = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "study": None,
        "asked": kind,
        "action": MESSAGES[kind].action if kind in MESSAGES else None,
        "round": number if isinstance(number, int) else None,
    }
    try:
        if request.has_study:
            said |= {"study": request.study.name, "fingerprint": request.study.fingerprint}
    except (InputError, KeyError):  # one that says where data are, or of another version
        pass
    return said | {name: str(sent[name])[:MOST] for name in NAMED if name in sent}


def left(request: Request, reply: Message) -> dict[str, Any]:
    """Every record of an answer: its kind, what it holds and how much; and its digest."""
    content = reply.content
    records = {name: _record(record) for name, record in content.items()}
    said = {
        "records": records,
        "bytes": sum(record["bytes"] for record in records.values()),
        "counts": _counts(content),
        "digest": digest_of(content),
    }
    if counts_as_training(request.message.metadata.message_type) and UNDER_WAY not in records:
        said["question"] = request.question
    if "release" in request.noted:
        return said | {"release": request.noted["release"]}
    budget = _budget(request, content)
    if budget is None:
        return said
    epsilon, delta, mark = budget
    return said | {"release": {"epsilon": epsilon, "delta": delta, "sha256": mark}}


def _record(record: ArrayRecord | ConfigRecord | MetricRecord) -> dict[str, Any]:
    if isinstance(record, ArrayRecord):
        return {"kind": "arrays", "holds": len(record), "bytes": record.count_bytes()}
    size = len(records_to_bytes(RecordDict({"": record})))  # Flower cannot count an empty list
    kind = "numbers" if isinstance(record, MetricRecord) else "texts"
    holds = {name: len(v) if isinstance(v, list) else 1 for name, v in record.items()}
    return {"kind": kind, "holds": holds, "bytes": size}


def _counts(content: RecordDict) -> dict[str, int]:
    """How many counts an answer says, and in place of how many it says that it does not."""
    counts = [
        count
        for record in content.metric_records.values()
        for value in record.values()
        if isinstance(value, list)
        for count in value
        if isinstance(count, int)
    ]
    return {"said": len(counts) - counts.count(UNSAID), "suppressed": counts.count(UNSAID)}


def _budget(request: Request, content: RecordDict) -> tuple[float, float, str] | None:
    """ε and δ of noised sums in an answer, and a mark that another draw of noise does not have."""
    released = content.config_records.get("release")
    if released is not None and "json" in released:  # drawn once, and sent whenever it is asked for
        drawn = json.loads(str(released["json"]))
        sums = {name: record for name, record in content.items() if name in ("arrays", "release")}
        return drawn["epsilon"], drawn["delta"], digest_of(RecordDict(sums))
    report = content.metric_records.get("metrics", MetricRecord())
    peers = request.study.peers if request.has_study else None
    if peers is not None and report.get("releases"):  # a peer says so of a new draw alone
        return peers.epsilon, peers.delta, digest_of(content)
    if "epsilon" in request.sent and COUNTED in content:  # an audit draws anew
        sent = request.sent
        return float(sent["epsilon"]), float(sent.get("delta", 0.0)), digest_of(content)  # type: ignore[arg-type]
    return None


def beyond(
    policy: SitePolicy, request: Request, entries: Iterable[Mapping[str, Any]]
) -> str | None:
    """Why a training may not leave any more, by what a ledger says has left; None if it may.

    The same question may be asked again, as it is after a crash: it has the same answer. Of lines
    of version 0.3.0, which say no question, each counts.
    """
    study, kind = request.study, request.message.metadata.message_type
    if policy.max_rounds is None or not counts_as_training(kind):
        return None
    earlier = [e for e in entries if e.get("study") == study.name and e.get("asked") == kind]
    questions = [
        e.get("question")
        for e in earlier
        if "error" not in e and UNDER_WAY not in e.get("records", ())
    ]
    if request.question in questions:
        return None
    return too_many(policy, study, kind, questions.count(None) + len({*questions} - {None}))
