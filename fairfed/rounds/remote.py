"""Real sites over a network: who is there, how long to wait, what is sent again.

Above it nothing knows that sites come, leave and return: a site has one node id as long as a run
lasts, and whoever is not there answers with an error at once. Flower's own `send_and_receive` gives
up at the first answer 500 of a SuperLink, and lets messages live for half a day.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TypeVar

import httpx
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.serverapp import Grid

from fairfed import __version__
from fairfed.data.table import natural_order
from fairfed.engines.forwarding import ForwardingGrid
from fairfed.engines.inprocess import NODE_UNAVAILABLE
from fairfed.engines.node import FIRST_NODE_ID
from fairfed.engines.private import readdress, stamp
from fairfed.errors import RunError
from fairfed.rounds.exchange import CLIENT_KEY, CONFIG_KEY, Client, reason_of
from fairfed.sites.receipts import RECEIPTS, Receipts
from fairfed.sites.request import CLIENTS, EXCHANGE, UNDER_WAY, VERSION, WHO

logger = logging.getLogger("fairfed")

T = TypeVar("T")

SLACK = 60.0
"""Seconds that a message lives beyond the time to answer it: for the way back."""
PATIENCE = 600.0
"""Seconds for which a SuperLink that answers 500 is asked again."""
INTRODUCTION = 300.0
"""Seconds that a site has to say who it is: the first process at a site takes long to start."""
ASK_AGAIN = 60.0
"""Seconds after which a node that could not say who it is is asked again."""

TOO_FEW = (
    "{found} of {least} sites that must be there are, after {wait:g} s ({names}); start the "
    "others, and the same command goes on where the run stopped"
)
NOT_THERE = "{name} is not there"
UNDECLARED = "{name} does not take part: it is none of the study's sites, {names}"
TWICE = "{name} is there already; give every site a name of its own"
PRETENDED = "{name} does not take part: its key is registered as {registered}"


@dataclass
class _Sent:
    """A request on its way: as it was asked for, and when its answer is too late."""

    request: Message
    client: int
    number: int
    end: float


class RemoteSites(ForwardingGrid):
    """A SuperLink's grid as the rounds want it.

    Parameters
    ----------
    inner : Grid
        Flower's grid of the SuperLink.
    least : int
        Sites without which no exchange begins.
    wait : float
        Seconds to wait for them.
    deadline : float
        Seconds that a site has for an answer; one that says how far it is has as many again.
    receipts : Receipts, optional
        Signs what sites have answered, for their ledgers.
    pause : float
        Seconds between two looks for answers.
    """

    def __init__(
        self,
        inner: Grid,
        least: int,
        wait: float,
        deadline: float,
        receipts: Receipts | None = None,
        pause: float = 2.0,
    ) -> None:
        super().__init__(inner)
        self._least, self._wait, self._deadline, self._pause = least, wait, deadline, pause
        self._receipts = receipts
        self._names: tuple[str, ...] = ()
        self._open = True
        self._there: dict[str, int] = {}
        self._unclear: dict[int, float] = {}
        self._exchanges = 0

    # who is there

    def meet(self, names: Sequence[str]) -> list[Client]:
        """Wait for the sites of a run, and number them.

        Parameters
        ----------
        names
            The sites, all of whom are waited for; empty for whoever comes, until there are enough.

        Raises
        ------
        fairfed.errors.RunError
            If there are too few in time.
        """
        self._names, self._open = tuple(names), not names
        self._await(max(self._least, len(self._names)))
        if self._open:
            self._names, self._open = natural_order(list(self._there)), False
        return [Client(i, name, FIRST_NODE_ID + i) for i, name in enumerate(self._names)]

    def get_node_ids(self) -> Iterable[int]:
        """Return a node id for every site of the run, there or not."""
        return [FIRST_NODE_ID + i for i in range(len(self._names))]

    def _await(self, count: int) -> None:
        """Wait until so many sites are there; those without whom nothing begins must be."""
        end = monotonic() + self._wait
        self._look()
        while len(self._there) < count and monotonic() < end:
            sleep(self._pause)
            self._look()
        if len(self._there) < self._least:
            names = ", ".join(self._there) or "none"
            raise RunError(
                TOO_FEW.format(
                    found=len(self._there), least=self._least, wait=self._wait, names=names
                )
            )

    def _look(self) -> None:
        """See who is there; ask those who are new for their names."""
        registered = self._registered()
        for name in [name for name, node in self._there.items() if node not in registered]:
            logger.warning("%s has gone", name)
            del self._there[name]
        now, known = monotonic(), set(self._there.values())
        new = [
            node for node in registered if node not in known and self._unclear.get(node, 0.0) <= now
        ]
        for node, name in self._introductions(new).items():
            reason = self._unwelcome(name, registered[node])
            if reason is None:
                logger.info("%s is there", name)
                self._there[name] = node
                self._unclear.pop(node, None)
            else:
                logger.warning("%s", reason)

    def _registered(self) -> dict[int, str]:
        """The nodes that can be reached, and under which names their keys are registered."""
        nodes = getattr(self._inner, "get_nodes", None)
        if nodes is None:
            return dict.fromkeys(self._inner.get_node_ids(), "")
        return {node.node_id: node.name for node in self._patiently(nodes)}

    def _introductions(self, nodes: Sequence[int]) -> dict[int, str]:
        """What nodes call themselves, those that say it."""
        asked = ConfigRecord({"round": 0, CLIENT_KEY: 0, VERSION: __version__})
        requests = {
            node: Message(RecordDict({CONFIG_KEY: asked}), node, "query.describe", ttl=INTRODUCTION)
            for node in nodes
        }
        start, names = monotonic(), dict[int, str]()
        for node, reply in self._delivered(requests, INTRODUCTION).items():
            if reply.has_error():
                logger.warning("node %d does not take part: %s", node, reason_of(reply.error))
            else:
                names[node] = str(reply.content.config_records[WHO]["name"])
        # One that does not answer shall not hold the others up for long.
        again = monotonic() + max(ASK_AGAIN, 10 * (monotonic() - start))
        self._unclear.update(dict.fromkeys(nodes, again))
        return names

    def _unwelcome(self, name: str, registered: str) -> str | None:
        """Why a site that calls itself so does not take part; None if it does."""
        if registered not in {"", name}:
            return PRETENDED.format(name=name, registered=registered)
        if not self._open and name not in self._names:
            return UNDECLARED.format(name=name, names=", ".join(self._names))
        return TWICE.format(name=name) if name in self._there else None

    # asking

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Ask sites, and wait for their answers; see the class for how long.

        Raises
        ------
        fairfed.errors.RunError
            If too few sites are there.
        """
        self._await(self._least)
        self._exchanges += 1
        end = monotonic() + (self._deadline if timeout is None else timeout)
        found: list[Message] = []
        waiting: list[_Sent] = []
        for number, request in enumerate(messages):
            stamp(request, f"{self._exchanges}-{number}", self.run.run_id)
            client = request.metadata.dst_node_id - FIRST_NODE_ID
            waiting.append(_Sent(request, client, self._exchanges, end))
        while waiting:
            again: list[_Sent] = []
            for one, reply in self._asked(waiting, end):
                if not reply.has_error() and UNDER_WAY in reply.content.config_records:
                    far = reply.content.config_records[UNDER_WAY]
                    name = self._names[one.client]
                    logger.info("%s: under way, %s of about %s images", name, *far.values())
                    again.append(one)
                else:
                    found.append(reply)
            waiting = again
        return found

    def _asked(self, sent: Sequence[_Sent], end: float) -> list[tuple[_Sent, Message]]:
        """What came back of requests, each as if from the node that it was addressed to."""
        back: list[tuple[_Sent, Message]] = []
        requests: dict[int, Message] = {}
        by_node: dict[int, _Sent] = {}
        limit = min(self._deadline, end - monotonic())
        for one in sent:
            name = self._names[one.client]
            node = self._there.get(name)
            if node is None:
                absent = Error(NODE_UNAVAILABLE, NOT_THERE.format(name=name))
                back.append((one, Message(absent, reply_to=one.request)))
                continue
            content = one.request.content
            config = ConfigRecord(
                {
                    **content.config_records[CONFIG_KEY],
                    EXCHANGE: one.number,
                    CLIENTS: len(self._names),
                }
            )
            owed = self._receipts.texts(name) if self._receipts else []
            if owed:
                config[RECEIPTS] = owed
            requests[node] = Message(
                RecordDict({**content, CONFIG_KEY: config}),
                node,
                one.request.metadata.message_type,
                ttl=max(0.0, limit) + SLACK,
            )
            by_node[node] = one
        for node, reply in self._delivered(requests, limit).items():
            one = by_node[node]
            if self._receipts and not reply.has_error():
                self._receipts.got(self._names[one.client], reply.content)
            readdress(reply, one.request)
            back.append((one, reply))
        return back

    def _delivered(self, requests: dict[int, Message], limit: float) -> dict[int, Message]:
        """Replies by node, of those that came in time."""
        if not requests or limit <= 0:
            return {}
        end = monotonic() + limit
        ids = self._patiently(lambda: list(self._inner.push_messages(list(requests.values()))))
        node_of = dict(zip(ids, requests, strict=True))
        replies: dict[int, Message] = {}
        while node_of and monotonic() < end:
            for reply in self._patiently(lambda: list(self._inner.pull_messages(list(node_of)))):
                replies[node_of.pop(reply.metadata.reply_to_message_id)] = reply
            if node_of:
                sleep(self._pause)
        return replies

    def _patiently(self, call: Callable[[], T]) -> T:
        """What a SuperLink answers, asked again while it answers that something is wrong with it.

        Flower's client has its own patience where there is no answer at all.
        """
        end, pause = monotonic() + PATIENCE, self._pause
        while True:
            try:
                return call()
            except httpx.HTTPStatusError as error:
                if error.response.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    raise
                if monotonic() >= end:
                    raise
                logger.warning("the SuperLink answers %d; asked again", error.response.status_code)
                sleep(pause)
                pause = min(2 * pause, ASK_AGAIN)

    # what a checkpoint needs

    def client_states(self) -> dict[int, bytes]:
        """Nothing: sites keep their own states (`fairfed.sites.client_state`)."""
        return {}

    def load_client_states(self, states: object) -> None:
        """Nothing to restore."""
