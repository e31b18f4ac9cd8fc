"""Messages from peer to peer, and the relay: what the engine's server does without being a server.

It is clock and post office. It tells peers which phase it is, takes the messages that they hand out
and delivers each to the peer that it is addressed to. It merges nothing, reads no array, and keeps
nothing from one phase to the next but undelivered messages; what it counts is the experiment's log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from flwr.app import ArrayRecord, ConfigRecord, ConfigRecordValues, RecordDict

from fairfed.rounds.exchange import Exchange, Steps

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


@dataclass
class Traffic:
    """What went over one kind of link."""

    messages: int = 0
    bytes: int = 0
    undelivered: int = 0


@dataclass
class Exchanged:
    """What came of one round."""

    # What each peer that was reached told the log, by peer; empty if it answered to no phase
    reports: dict[int, Report] = field(default_factory=dict)
    links: dict[str, Traffic] = field(default_factory=dict)  # traffic by kind of link
    # Bytes by peer
    sent: dict[int, int] = field(default_factory=dict)
    received: dict[int, int] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)  # peers that answered to the last phase


class Relay:
    """Passes messages between peers, whose ClientApp answers ``query.peer``.

    `gone` says whether a peer is unreachable in a round and phase: a condition of the experiment.
    """

    def __init__(
        self,
        peers: Iterable[int],
        gone: Callable[[int, int, str], bool] = lambda peer, server_round, phase: False,
    ) -> None:
        self._peers, self._gone = sorted(peers), gone

    def round(
        self, number: int, phases: tuple[str, ...], request: Mapping[str, ConfigRecordValues]
    ) -> Steps[Exchanged]:
        """Run the phases of one round; messages of the last phase are for nobody.

        The request is what every peer is told beside round and phase.
        """
        seen = Exchanged()
        post: dict[int, list[PeerMessage]] = {}
        for phase in phases:
            config: dict[str, ConfigRecordValues] = {**request, "round": number, "phase": phase}
            post = yield from self._deliver(number, phase, config, post, seen)
        return seen

    def _deliver(
        self,
        number: int,
        phase: str,
        config: dict[str, ConfigRecordValues],
        post: dict[int, list[PeerMessage]],
        seen: Exchanged,
    ) -> Steps[dict[int, list[PeerMessage]]]:
        """Bring one phase's messages to those that can be reached; return what they hand out.

        Each is told whether the answer with its own messages of the phase before has been taken.
        """
        there = [peer for peer in self._peers if not self._gone(peer, number, phase)]
        contents = {
            peer: RecordDict(
                {
                    "config": ConfigRecord({**config, "taken": peer in seen.answered}),
                    **pack(post.get(peer, ())),
                }
            )
            for peer in there
        }
        answers = yield Exchange("query.peer", contents, label=phase)
        written: list[PeerMessage] = []
        seen.answered = set(answers.replies)
        for peer in there:
            seen.reports.setdefault(peer, {})
        for peer, reply in answers.replies.items():
            seen.reports[peer].update(reply.content.metric_records["metrics"])
            written += unpack(reply.content)
        for peer, messages in post.items():
            if peer not in seen.answered:
                for message in messages:
                    seen.links[message.link].undelivered += 1
        return _sorted(written, seen)


def _sorted(written: list[PeerMessage], seen: Exchanged) -> dict[int, list[PeerMessage]]:
    """Messages by the peer that they are addressed to, counted."""
    post: dict[int, list[PeerMessage]] = {}
    for message in written:
        traffic, size = seen.links.setdefault(message.link, Traffic()), message.size
        for peer in message.to:
            post.setdefault(peer, []).append(replace(message, to=(peer,)))
            traffic.messages += 1
            traffic.bytes += size
            seen.sent[message.sender] = seen.sent.get(message.sender, 0) + size
            seen.received[peer] = seen.received.get(peer, 0) + size
    return post
