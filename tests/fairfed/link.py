"""A SuperLink in this process: nodes that come and go, and every message over the wire."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from flwr.app import Context, Error, Message, RecordDict

from fairfed.client import app
from fairfed.config import Config
from fairfed.config.site import SiteConfig
from fairfed.engines.forwarding import MessagingGrid
from fairfed.engines.private import (
    Run,
    empty_run,
    message_from_bytes,
    message_to_bytes,
    server_identity,
    stamp,
)
from fairfed.server import server_app
from fairfed.sites.study import study_of

Happening = Callable[[str, Message], None]


@dataclass
class _Node:
    """What is registered: the node's configuration, and under which name its key is known."""

    configuration: dict[str, Any]
    name: str


class Link(MessagingGrid):
    """What a `Grid` of Flower's SuperLink does, with the sites' apps in this process.

    No state of a client outlives a message: a SuperNode loses it when it is started again.

    Parameters
    ----------
    run : int
        Number of the run.
    happening : callable, optional
        ``happening(name, message)`` before a site gets a message; what it raises ends the run.
    """

    def __init__(self, run: int = 1, happening: Happening | None = None) -> None:
        self._run, self._happening = empty_run(run), happening
        self.nodes: dict[int, _Node] = {}
        self.ill = 0
        self.carried: list[bytes] = []
        self._pending: dict[str, bytes] = {}
        self._sent = 0

    def join(self, site: SiteConfig | str, registered: str | None = None) -> None:
        """Have a site's SuperNode connect, with a node id that nobody could guess."""
        name = site if isinstance(site, str) else site.name
        place = None if isinstance(site, str) else str(_file_of(site))
        number = zlib.crc32(f"{name}/{len(self.nodes)}/{self._sent}".encode()) + 2
        configuration = {} if place is None else {"site": place}
        self.nodes[number] = _Node(configuration, name if registered is None else registered)

    def leave(self, name: str) -> None:
        """Have a site's SuperNode disconnect."""
        self.nodes = {number: node for number, node in self.nodes.items() if node.name != name}

    def set_run(self, run: Run) -> None:
        self._run = run

    @property
    def run(self) -> Run:
        return self._run

    def get_nodes(self) -> list[Any]:
        self._answer_ill()
        return [SimpleNamespace(node_id=i, name=node.name) for i, node in self.nodes.items()]

    def get_node_ids(self) -> Iterable[int]:
        return list(self.nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        self._answer_ill()
        ids = []
        for message in messages:
            self._sent += 1
            stamp(message, f"m{self._sent}", self._run.run_id)
            self._pending[f"m{self._sent}"] = message_to_bytes(message)
            ids.append(f"m{self._sent}")
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        self._answer_ill()
        replies = [self._answer(self._pending.pop(i)) for i in message_ids if i in self._pending]
        return replies[::-1]  # in no order that anything may rely on

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        raise AssertionError("Flower's own patience is not ours")

    def _answer_ill(self) -> None:
        if self.ill:
            self.ill -= 1
            request = httpx.Request("POST", "https://superlink")
            response = httpx.Response(500, request=request)
            raise httpx.HTTPStatusError("500", request=request, response=response)

    def _answer(self, asked: bytes) -> Message:
        request = message_from_bytes(asked)
        node = self.nodes.get(request.metadata.dst_node_id)
        if node is None:
            return self._carry(Message(Error(5, "Node Unavailable"), reply_to=request))
        if self._happening is not None:
            self._happening(node.name, request)
        context = Context(
            run_id=self._run.run_id,
            node_id=request.metadata.dst_node_id,
            node_config=node.configuration,  # a SuperNode keeps what an app writes there
            state=RecordDict(),
            run_config={"config": "", "overrides": ""},
        )
        self.carried.append(asked)
        try:
            reply = app(request, context)
        except Exception as error:  # noqa: BLE001  (as Flower's runtime does)
            reply = Message(Error(2, f"{type(error)}:<'{error}'>"), reply_to=request)
        return self._carry(reply)

    def _carry(self, reply: Message) -> Message:
        stamp(reply, f"{reply.metadata.reply_to_message_id}-reply", self._run.run_id)
        self.carried.append(message_to_bytes(reply))
        back = message_from_bytes(self.carried[-1])
        if back.has_error():
            back.metadata.__dict__["_src_node_id"] = 1  # as the SuperLink's own errors
        return back


def _file_of(site: SiteConfig) -> Path:
    """Where the fixture `hospitals` has written a site's configuration."""
    return Path(site.data.source).parent / "site.toml"


def play_over(link: Link, config: Config, receipts: Path | None = None) -> None:
    """Run a study over a link, or go on with it."""
    context = Context(
        run_id=link.run.run_id,
        node_id=0,
        node_config={},
        state=RecordDict(),
        run_config={"receipts": str(receipts or "")},
    )
    with server_identity(link.run.run_id):
        server_app(study_of(config, None), report=False)(grid=link, context=context)
