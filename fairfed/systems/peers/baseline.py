"""What peers are compared with: averaging with a server among the same clients, then fine-tuning.

Clients take the same local steps in the same number of rounds as with Reptile; unseen ones adapt
the server's model on the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, replace
from typing import Any

from flwr.app import ArrayRecord, Message

from fairfed.config import Arm
from fairfed.config.base import required
from fairfed.rounds.arm_server import Plan
from fairfed.rounds.arrays import decode, encode
from fairfed.rounds.clients import METRICS_KEY
from fairfed.rounds.exchange import Answers, Exchange, Steps, array_bytes
from fairfed.rounds.progress import TIMEOUT
from fairfed.strategies.arm_server import SteeredServer
from fairfed.systems.classifier.build import build_strategy
from fairfed.systems.peers.arm_server import is_measured
from fairfed.systems.peers.population import leavers, unseen_peers
from fairfed.systems.peers.relay import Traffic
from fairfed.systems.session import Session

SERVER_TO_CLIENT, CLIENT_TO_SERVER = "server → client", "client → server"
SERVER_TO_VISITOR = "server → visitor"
LEFT = "the client has left (peers.leave_round)"


class MembersServer(SteeredServer):
    """An arm whose leaving clients are gone from a round on, and whose traffic is counted.

    `visits` says what is sent to unseen clients after a round.
    """

    def __init__(
        self,
        *steered: Any,
        leaving: Collection[int],
        leave_round: int,
        visits: Callable[[int], Traffic | None],
    ) -> None:
        super().__init__(*steered)
        self._leaving, self._leave_round, self._visits = leaving, leave_round, visits
        self._links: dict[str, Traffic] = {}

    def _ask(self, number: int, exchange: Exchange) -> Steps[Answers]:
        """Ask those that are there; one that has left is an error."""
        lost = set(self._leaving) if number >= self._leave_round else set()
        there = {client: sent for client, sent in exchange.contents.items() if client not in lost}
        answers = yield replace(exchange, contents=there)
        for client in lost.intersection(exchange.contents):
            answers.note(client, LEFT)
        if exchange.kind == "train":
            replies = answers.replies.values()
            counted = {
                SERVER_TO_CLIENT: Traffic(len(there), sum(answers.down.values())),
                CLIENT_TO_SERVER: Traffic(len(replies), sum(map(_size, replies))),
            }
            self._links = {link: traffic for link, traffic in counted.items() if traffic.messages}
        return answers

    def _entries(self, number: int) -> dict[str, Any]:
        """As of every arm, and the links."""
        visits = self._visits(number)
        links = self._links if visits is None else {**self._links, SERVER_TO_VISITOR: visits}
        told = {link: asdict(links[link]) for link in sorted(links)}
        return {**super()._entries(number), "links": told}


def _size(reply: Message) -> int:
    """Bytes of a reply's arrays and of what the client reports."""
    reports = reply.content.metric_records.values()
    return array_bytes(reply.content) + sum(record.count_bytes() for record in reports)


def train_arm(
    session: Session,
    arm: Arm,
    log: Callable[[dict[str, Any]], None],
    measured: Callable[[int, list[dict[str, Any]]], None],
    rounds: Iterable[int],
) -> None:
    """Train an arm among the clients that take part, and measure it on those that do not.

    `rounds` are those to measure after, ascending; the last one ends the training. `log` takes a
    line of `rounds.jsonl`, `measured` a round and its measurement. An unseen client that does not
    answer ends the run, as three rounds in a row do in which nobody answers.
    """
    config, study, clients = session.config, session.study, session.clients
    leave_round = required(config.peers).leave_round
    first = ArrayRecord(study.place.model().state_dict())
    outside = set(unseen_peers(config, len(clients)))
    unseen = replace(session, clients=[one for one in clients if one.index in outside])
    inside = replace(session, clients=[one for one in clients if one.index not in outside])

    def visits(number: int) -> Traffic | None:
        # They follow the round's line; all models of an arm are of one size.
        count, measuring = len(unseen.clients), is_measured(config, number)
        return Traffic(count, count * first.count_bytes()) if measuring else None

    for last in rounds:
        plan = Plan(last, config.seed, TIMEOUT, arm=arm.slug)
        server = MembersServer(
            session.grid,
            inside.clients,
            plan,
            build_strategy(study.place, arm),
            decode(first),
            study.request(arm),
            leaving=leavers(config, len(clients)) if leave_round else (),
            leave_round=leave_round,
            visits=visits,
        )
        model = inside.train(arm, server, plan, log)
        answers = unseen.query("adapt", {**study.request(), "round": last}, arrays=encode(model))
        rows = [
            {"client": peer, **content.metric_records[METRICS_KEY]}
            for peer, content in answers.items()
        ]
        measured(last, rows)
