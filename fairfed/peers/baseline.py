"""What peers are compared with: averaging with a server among the same clients, then fine-tuning.

Clients take the same local steps in the same number of rounds as with Reptile; unseen ones adapt
the server's model on the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.app import ArrayRecord, ConfigRecord, Error, Message, RecordDict
from flwr.serverapp import Grid

from fairfed.config import Arm, Config
from fairfed.engines.exchange import ask
from fairfed.engines.forwarding import ForwardingGrid
from fairfed.engines.inprocess import NODE_UNAVAILABLE
from fairfed.errors import RunError
from fairfed.loops import restore_states, saved_states
from fairfed.peers.population import leavers, members, settings, unseen_peers
from fairfed.peers.relay import Traffic
from fairfed.peers.rounds import is_measured
from fairfed.rounds import run_rounds
from fairfed.rundir import RunDirectory
from fairfed.sites.study import Study

SERVER_TO_CLIENT, CLIENT_TO_SERVER = "server → client", "client → server"
SERVER_TO_VISITOR = "server → visitor"
LEFT = "the client has left (peers.leave_round)"


class MembersGrid(ForwardingGrid):
    """A grid that shows only the clients that take part, and loses those that leave.

    Parameters
    ----------
    inner
        The grid of all clients.
    nodes
        Node ids of those that take part.
    gone
        Says whether a node has left by a round.

    Attributes
    ----------
    links
        Traffic of training since it was last replaced: arrays and what clients report.
    """

    def __init__(self, inner: Grid, nodes: list[int], gone: Callable[[int, int], bool]) -> None:
        super().__init__(inner)
        self._members, self._gone = nodes, gone
        self.links: dict[str, Traffic] = {}

    def get_node_ids(self) -> Iterable[int]:
        """Node ids of the clients that take part."""
        return list(self._members)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """As the inner grid; a client that has left gives an error."""
        asked = list(messages)
        lost = [message for message in asked if self._has_left(message)]
        there = [message for message in asked if not self._has_left(message)]
        replies = list(self._inner.send_and_receive(there, timeout=timeout))
        for link, sent in ((SERVER_TO_CLIENT, there), (CLIENT_TO_SERVER, replies)):
            self._count(link, sent)
        failed = [Message(Error(NODE_UNAVAILABLE, LEFT), reply_to=message) for message in lost]
        return [*replies, *failed]

    def client_states(self) -> dict[int, bytes]:
        """States of all clients, where the inner grid gives them."""
        return saved_states(self._inner)

    def load_client_states(self, states: Mapping[int, bytes]) -> None:
        """Restore them."""
        restore_states(self._inner, states)

    def _has_left(self, message: Message) -> bool:
        number = int(message.content.config_records["config"]["round"])  # type: ignore[arg-type]
        return self._gone(message.metadata.dst_node_id, number)

    def _count(self, link: str, messages: list[Message]) -> None:
        """Count the messages of training."""
        for message in messages:
            if message.metadata.message_type != "train" or not message.has_content():
                continue
            traffic = self.links.setdefault(link, Traffic())
            traffic.messages += 1
            content = message.content
            traffic.bytes += sum(record.count_bytes() for record in content.array_records.values())
            traffic.bytes += sum(record.count_bytes() for record in content.metric_records.values())


def train_arm(
    grid: Grid,
    directory: RunDirectory,
    study: Study,
    arm: Arm,
    nodes: Mapping[int, int],
    timeout: float,
    log: Callable[[dict[str, Any]], None],
    measured: Callable[[int, list[dict[str, Any]]], None],
    rounds: Iterable[int],
) -> None:
    """Train an arm among the clients that take part, and measure it on those that do not.

    Parameters
    ----------
    grid, directory, study
        All clients, the run's directory, and the run.
    arm
        Averaging with a server.
    nodes
        Node id by client.
    timeout
        Seconds for an exchange.
    log
        Takes a line of `rounds.jsonl`, without `arm`.
    measured
        Takes a round and its measurement on unseen clients.
    rounds
        Rounds to measure after, ascending; the last one ends the training.

    Raises
    ------
    fairfed.errors.RunError
        If no client answers in three rounds in a row, or an unseen one does not answer.
    """
    from fairfed.strategies.build import build_strategy

    config = directory.config
    inner = MembersGrid(grid, [nodes[p] for p in members(config, len(nodes))], _gone(config, nodes))
    first = ArrayRecord(study.place.model().state_dict())
    unseen = len(unseen_peers(config, len(nodes)))
    request = study.request()

    def with_links(line: dict[str, Any]) -> None:
        links, inner.links = inner.links, {}
        if is_measured(config, line["round"]):
            # They follow this line; all models of an arm are of one size.
            links[SERVER_TO_VISITOR] = Traffic(unseen, unseen * first.count_bytes())
        log({**line, "links": {link: asdict(links[link]) for link in sorted(links)}})

    for last in rounds:
        arrays = run_rounds(
            inner,
            build_strategy(study.place, arm),
            first,
            last,
            config={**request, "arm": arm.slug, "round": 0},
            seed=config.seed,
            timeout=timeout,
            checkpoint=directory.checkpoint(arm),
            log=with_links,
        )
        measured(last, _adapt(grid, config, {**request, "round": last}, nodes, arrays, timeout))


def _gone(config: Config, nodes: Mapping[int, int]) -> Callable[[int, int], bool]:
    """When a node has left: from the round on in which peers leave."""
    first = settings(config).leave_round
    left = {nodes[peer] for peer in leavers(config, len(nodes))} if first else set()
    return lambda node, server_round: node in left and server_round >= first


def _adapt(
    grid: Grid,
    config: Config,
    request: Mapping[str, Any],
    nodes: Mapping[int, int],
    arrays: ArrayRecord,
    timeout: float,
) -> list[dict[str, Any]]:
    """What each unseen client gets right after fine-tuning the server's model."""
    unseen = unseen_peers(config, len(nodes))
    settings_sent = ConfigRecord(dict(request))
    messages = [
        Message(RecordDict({"config": settings_sent, "arrays": arrays}), nodes[peer], "query.adapt")
        for peer in unseen
    ]
    answers, errors = ask(grid, messages, timeout)
    if errors:
        raise RunError(f"an unseen client could not be measured: {next(iter(errors.values()))}")
    return [
        {"client": peer, **answers[nodes[peer]].content.metric_records["metrics"]}
        for peer in unseen
    ]
