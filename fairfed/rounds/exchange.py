"""One exchange with clients: what they are asked, who answered, what it cost, who failed and why.

The same code runs on every Flower engine. Error replies that a SuperLink makes up carry its own
node id and not the failing node's, so answers are attributed by the message that they reply to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from flwr.app import ArrayRecord, ConfigRecord, ConfigRecordValues, Error, Message, RecordDict
from flwr.serverapp import Grid

logger = logging.getLogger("fairfed")

CONFIG_KEY = "config"
ARRAYS_KEY = "arrays"
CLIENT_KEY = "client"
"""Entry of every request's configuration: the index of the client that it is addressed to."""

NO_REPLY = "no reply within {timeout:g} s"
UNEXPLAINED = "error {code} without a reason"

T = TypeVar("T")


@dataclass(frozen=True)
class Client:
    """Who takes part in a federation."""

    index: int  # its number: its identity in everything that must be reproducible
    name: str  # what people call it
    node: int  # Flower's id of the node where it runs, which changes from run to run


@dataclass(frozen=True)
class Exchange:
    """What clients are asked, all at the same time.

    Attributes
    ----------
    kind
        Type of the messages, as ``train`` or ``query.peer``.
    contents
        What each of those asked is sent, by client index.
    label
        Stands before the errors of this exchange in a client's row; none in front of the main one.
    timeout
        Seconds that the clients have together; None for what the plan says.
    """

    kind: str
    contents: Mapping[int, RecordDict]
    label: str = ""
    timeout: float | None = None

    @classmethod
    def alike(
        cls,
        kind: str,
        whom: Iterable[int],
        config: Mapping[str, ConfigRecordValues],
        arrays: ArrayRecord | None = None,
        label: str = "",
    ) -> Exchange:
        """Ask several clients the same."""
        content = RecordDict({CONFIG_KEY: ConfigRecord(dict(config))})
        if arrays is not None:
            content[ARRAYS_KEY] = arrays
        return cls(kind, dict.fromkeys(whom, content), label)


@dataclass
class Answers:
    """What came of an exchange, by client index.

    Attributes
    ----------
    label
        Of the exchange.
    names
        Names of the clients asked.
    replies
        What is of use, by client index, ascending.
    errors
        Why the others gave nothing of use, with the label in front.
    down, up
        Bytes of arrays that were sent and received.
    """

    label: str = ""
    names: dict[int, str] = field(default_factory=dict)
    replies: dict[int, Message] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    down: dict[int, int] = field(default_factory=dict)
    up: dict[int, int] = field(default_factory=dict)

    def note(self, client: int, reason: str) -> None:
        """Keep why a client gave nothing of use."""
        self.errors[client] = f"{self.label}: {reason}" if self.label else reason
        self.replies.pop(client, None)

    def reject(self, client: int, reason: str) -> None:
        """Leave out a reply that cannot be used, and say so in the log."""
        logger.warning("reply of client %s rejected: %s", self.names[client], reason)
        self.note(client, reason)


Steps = Generator[Exchange, Answers, T]
"""Yields what clients shall be asked, is sent what came of it, and returns a result."""


def perform(grid: Grid, clients: Sequence[Client], exchange: Exchange, timeout: float) -> Answers:
    """Ask clients and wait: `timeout` seconds where the exchange does not say how long."""
    limit = timeout if exchange.timeout is None else exchange.timeout
    asked = [client for client in clients if client.index in exchange.contents]
    answers = Answers(exchange.label, {client.index: client.name for client in asked})
    requests = [_request(exchange, client) for client in asked]
    for client, request, found in zip(asked, requests, ask(grid, requests, limit), strict=True):
        answers.down[client.index] = array_bytes(request.content)
        if isinstance(found, str):
            logger.warning("client %s failed: %s", client.name, found)
            answers.note(client.index, found)
        else:
            answers.up[client.index] = array_bytes(found.content)
            answers.replies[client.index] = found
    return answers


def _request(exchange: Exchange, client: Client) -> Message:
    """The message to one client, which tells it who it is."""
    content = exchange.contents[client.index]
    config = content.config_records.get(CONFIG_KEY, ConfigRecord())
    own = ConfigRecord({**config, CLIENT_KEY: client.index})
    return Message(RecordDict({**content, CONFIG_KEY: own}), client.node, exchange.kind)


def ask(grid: Grid, requests: Sequence[Message], timeout: float) -> list[Message | str]:
    """For each request its reply, or why there is none."""
    replies = list(grid.send_and_receive(requests, timeout=timeout)) if requests else []
    by_request = {reply.metadata.reply_to_message_id: reply for reply in replies}
    found: list[Message | str] = []
    for request in requests:
        reply = by_request.get(request.metadata.message_id)
        if reply is None:
            found.append(NO_REPLY.format(timeout=timeout))
        elif reply.has_error():
            found.append(reason_of(reply.error))
        else:
            found.append(reply)
    return found


def reason_of(error: Error) -> str:
    """Why there is no answer, as the error says it."""
    return error.reason or UNEXPLAINED.format(code=error.code)


def array_bytes(content: RecordDict) -> int:
    """Bytes of a message's serialised arrays."""
    return sum(record.count_bytes() for record in content.array_records.values())


def drive(steps: Steps[T], answer: Callable[[Exchange], Answers]) -> T:
    """Run a generator of exchanges to its end, and return what it returns."""
    answers: Answers | None = None
    while True:
        try:
            exchange = steps.send(answers)  # type: ignore[arg-type]
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answers = answer(exchange)
