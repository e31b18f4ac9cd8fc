"""Messages from peer to peer, and how a message of the engine carries them.

Nothing here looks into an array: a relay forwards what it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flwr.app import ArrayRecord, ConfigRecord, ConfigRecordValues, RecordDict

LINKS = {
    "hello": "peer → peer",
    "visit": "visitor → coordinator",
    "profile": "peer → coordinator",
    "task": "peer → coordinator",
    "plan": "coordinator → peer",
    "model": "coordinator → peer",
    "visitor": "coordinator → coordinator",
    "cluster": "coordinator → coordinator",
    "start": "coordinator → visitor",
    "cluster-start": "coordinator → visitor",
}
"""Between what roles each kind of message travels."""

_MESSAGE, _ARRAYS = "letter-", "arrays-"
_ENVELOPE = ("kind", "from", "to", "link")

Report = dict[str, int | float | list[int] | list[float]]
"""What a peer tells the experiment's log; no other peer reads it."""


@dataclass(frozen=True)
class PeerMessage:
    """What one peer tells others."""

    kind: str  # what it is about
    sender: int  # peer that wrote it
    to: tuple[int, ...]  # peers that get it, each a copy
    link: str  # between what roles it travels, for the log
    # Numbers and text; no list is empty
    fields: Mapping[str, ConfigRecordValues] = field(default_factory=dict)
    arrays: ArrayRecord | None = None  # A model, a gradient or a profile

    @property
    def size(self) -> int:
        """Bytes of one copy, serialised: kind, sender, fields and arrays."""
        record = ConfigRecord({"kind": self.kind, "from": self.sender, **self.fields})
        return record.count_bytes() + (0 if self.arrays is None else self.arrays.count_bytes())


def pack(
    messages: Iterable[PeerMessage], prefix: str = ""
) -> dict[str, ConfigRecord | ArrayRecord]:
    """Messages as records of a message, or of a state."""
    records: dict[str, ConfigRecord | ArrayRecord] = {}
    for number, message in enumerate(messages):
        envelope: dict[str, ConfigRecordValues] = {
            "kind": message.kind,
            "from": message.sender,
            "to": list(message.to),
            "link": message.link,
        }
        records[f"{prefix}{_MESSAGE}{number}"] = ConfigRecord({**envelope, **message.fields})
        if message.arrays is not None:
            records[f"{prefix}{_ARRAYS}{number}"] = message.arrays
    return records


def unpack(records: RecordDict, prefix: str = "") -> list[PeerMessage]:
    """The messages among records, in the order packed."""
    messages = []
    number = 0
    while (record := records.config_records.get(f"{prefix}{_MESSAGE}{number}")) is not None:
        to = record["to"]
        messages.append(
            PeerMessage(
                kind=str(record["kind"]),
                sender=int(record["from"]),  # type: ignore[arg-type]
                to=tuple(to) if isinstance(to, list) else (),  # type: ignore[arg-type]
                link=str(record["link"]),
                fields={k: v for k, v in record.items() if k not in _ENVELOPE},
                arrays=records.array_records.get(f"{prefix}{_ARRAYS}{number}"),
            )
        )
        number += 1
    return messages
