"""The in-process engine: Flower's ``Grid`` without processes, ports or polling.

The ServerApp and the ClientApp are the ones that run on Flower's simulation and on SuperNodes; a
message goes from one to the other as a function call. What real engines guarantee, this one does:
clients share no containers, the state of a client outlives the message but not a failure, a
client that raises becomes an error reply with Flower's code and text. What they do not, this one
adds: replies come back in order of partition id, whatever finished first.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fairfed.engines.forwarding import MessagingGrid
from fairfed.engines.node import FIRST_NODE_ID, Node
from fairfed.engines.pool import Workers
from fairfed.engines.private import (
    Run,
    empty_run,
    records_from_bytes,
    records_to_bytes,
    server_identity,
    stamp,
)

logger = logging.getLogger("fairfed")

NODE_UNAVAILABLE = 5
"""Flower's error code for a message to a node that is not there."""

LOST = "lost"
"""What a ``drop`` hook returns for a message that gets no answer at all."""

OnReply = Callable[[int, int, Message], None]
Drop = Callable[[Message, int], str | None]
Handle = Callable[[Node, Message, float | None], Message | None]
"""Has a client answer a message; None if it does not within a deadline (`time.monotonic`)."""
RunConfig = Mapping[str, bool | int | float | str]


class InProcessGrid(MessagingGrid):
    """Flower's ``Grid`` over virtual clients of this process.

    Use it as a context manager: inside the block this process has the server's identity, which
    ``flwr.app.Message`` needs, and one grid at a time can hold it.

    Parameters
    ----------
    client_app : ClientApp
        The app that every client runs.
    num_clients : int
        Number of clients; client ``i`` has node id ``1000 + i`` and partition id ``i``.
    run_config : mapping, optional
        The run configuration that clients see.
    workers : int
        Clients that work at once: 1 calls them in this thread, more use that many threads.
        Messages to one client are always handled one after the other, in the order sent.
    wire : bool
        Every message makes a protobuf round trip in both directions, which finds content that
        only survives in memory.
    on_reply : callable, optional
        ``on_reply(done, total, reply)`` in the calling thread, as replies arrive.
    drop : callable, optional
        Fault injection: ``drop(request, partition_id)`` returns ``None`` (deliver), ``"lost"``
        (no reply ever comes) or the reason of an error reply. The client is not called.
    handle : callable, optional
        Has a client answer; by default it is called in this process, and never too late.

    Attributes
    ----------
    failures : int
        Error replies returned so far.
    """

    def __init__(
        self,
        client_app: ClientApp,
        num_clients: int,
        *,
        run_config: RunConfig | None = None,
        workers: int = 1,
        wire: bool = False,
        on_reply: OnReply | None = None,
        drop: Drop | None = None,
        handle: Handle | None = None,
    ) -> None:
        self.failures = 0
        self._handle = handle or (lambda node, request, _: node.handle(client_app, request))
        self._nodes = {
            FIRST_NODE_ID + i: Node(i, num_clients, run_config or {}, wire)
            for i in range(num_clients)
        }
        self._workers = Workers(workers)
        self._on_reply = on_reply
        self._drop = drop
        self._run = empty_run(secrets.randbits(62) + 1)  # as a SuperLink's: no two runs have one
        self._identity: AbstractContextManager[None] | None = None
        self._pending: dict[str, Message] = {}
        self._sent = 0

    def __enter__(self) -> Self:
        """Take the server's identity."""
        self._identity = server_identity(self._run.run_id)
        self._identity.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the threads and give the identity back."""
        self._workers.close()
        if self._identity is not None:
            self._identity.__exit__(kind, error, traceback)
            self._identity = None

    # Flower's abstract members

    def set_run(self, run: Run) -> None:
        """Set the run that messages belong to."""
        self._run = run

    @property
    def run(self) -> Run:
        """The run that messages belong to."""
        return self._run

    def get_node_ids(self) -> Iterable[int]:
        """Return the node ids in order of partition id."""
        return list(self._nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Accept messages, give them their ids and return the ids in the order sent."""
        accepted = list(messages)
        for message in accepted:
            if message.metadata.reply_to_message_id or not message.has_content():
                raise ValueError("a ServerApp can only push requests: messages that have content "
                                 "and reply to nothing")  # fmt: skip
            self._sent += 1
            stamp(message, f"{self._run.run_id}-{self._sent}", self._run.run_id)
            self._pending[message.metadata.message_id] = message
        return [message.metadata.message_id for message in accepted]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Have the pending messages of these ids answered; return the replies, ordered."""
        return self._answer(list(message_ids), None)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Have messages answered; replies and errors by partition id, then in the order sent.

        A client that has not started after `timeout` seconds is not called and gives no reply; one
        that has started is waited for, because a thread cannot be ended from outside.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        return self._answer(list(self.push_messages(messages)), deadline)

    # what a checkpoint needs

    def client_states(self) -> dict[int, bytes]:
        """Return the serialised state of every client, by partition id."""
        return {node.partition_id: records_to_bytes(node.state) for node in self._nodes.values()}

    def load_client_states(self, states: Mapping[int, bytes]) -> None:
        """Restore what :meth:`client_states` returned."""
        for partition_id, data in states.items():
            self._nodes[FIRST_NODE_ID + partition_id].state = records_from_bytes(data)

    # delivery

    def _answer(self, message_ids: list[str], deadline: float | None) -> list[Message]:
        """Deliver pending messages and collect the replies in order."""
        requests = [self._pending.pop(name) for name in message_ids if name in self._pending]
        queues: dict[int, list[tuple[int, Message]]] = {}
        for position, request in enumerate(requests):
            queues.setdefault(request.metadata.dst_node_id, []).append((position, request))
        replies: list[tuple[int, int, Message]] = []
        done = 0

        def collect(answers: list[tuple[int, int, Message | None]]) -> None:
            nonlocal done
            for node_id, position, reply in answers:
                done += 1
                if reply is None:
                    continue
                self.failures += reply.has_error()
                replies.append((node_id, position, reply))
                if self._on_reply is not None:
                    self._on_reply(done, len(requests), reply)

        self._workers.run([self._job(*item, deadline) for item in queues.items()], collect)
        if len(replies) < len(requests):
            logger.warning("%d of %d messages got no reply", len(requests) - len(replies),
                           len(requests))  # fmt: skip
        return [reply for *_, reply in sorted(replies, key=lambda entry: entry[:2])]

    def _job(
        self, node_id: int, queue: list[tuple[int, Message]], deadline: float | None
    ) -> Callable[[], list[tuple[int, int, Message | None]]]:
        """Bind one client's messages to the function that delivers them in order."""
        return lambda: [
            (node_id, position, self._deliver(node_id, request, deadline))
            for position, request in queue
        ]

    def _deliver(self, node_id: int, request: Message, deadline: float | None) -> Message | None:
        """Hand one message to its client, or do what the faults say; ``None`` is no reply."""
        node = self._nodes.get(node_id)
        if node is None:
            return Message(Error(NODE_UNAVAILABLE, f"there is no node {node_id}"), reply_to=request)
        if deadline is not None and time.monotonic() >= deadline:
            return None
        fault = self._drop(request, node.partition_id) if self._drop is not None else None
        if fault == LOST:
            return None
        if fault is not None:
            return Message(Error(NODE_UNAVAILABLE, fault), reply_to=request)
        return self._handle(node, request, deadline)


def run_in_process(
    server_app: ServerApp,
    client_app: ClientApp,
    num_clients: int,
    *,
    run_config: RunConfig | None = None,
    workers: int = 1,
    wire: bool = False,
    on_reply: OnReply | None = None,
    drop: Drop | None = None,
    handle: Handle | None = None,
) -> None:
    """Run a ServerApp on an :class:`InProcessGrid`; see `fairfed.engines.run.run_apps`."""
    grid = InProcessGrid(
        client_app,
        num_clients,
        run_config=run_config,
        workers=workers,
        wire=wire,
        on_reply=on_reply,
        drop=drop,
        handle=handle,
    )
    context = Context(
        run_id=grid.run.run_id,
        node_id=0,
        node_config={},
        state=RecordDict(),
        run_config=dict(run_config or {}),
    )
    with grid:
        server_app(grid=grid, context=context)
