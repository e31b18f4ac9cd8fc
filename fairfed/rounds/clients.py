"""Who the clients are, which of them a round draws, and questions outside the rounds."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from flwr.app import (
    ArrayRecord,
    ConfigRecord,
    ConfigRecordValues,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.serverapp import Grid

from fairfed.engines.nodes import wait_for_nodes
from fairfed.errors import RunError
from fairfed.rounds.exchange import CONFIG_KEY, Client, Exchange, ask, perform

PARTITION_KEY = "partition-id"
METRICS_KEY = "metrics"
WHO_KEY = "who"
"""Record of an answer to ``query.describe`` that has the client's ``name``, where it has one."""

UNNUMBERED = f"the reply has no integer '{PARTITION_KEY}' in its '{METRICS_KEY}'"
SAME_PARTITION = (
    "nodes {first} and {second} both say that they are partition {partition}: give every client "
    "its own partition-id"
)
SAME_NAME = (
    "nodes {first} and {second} both say that they are '{name}': give every site a name of its own"
)
OTHER_CLIENT = "the reply says 'partition-id' {said}, the handshake said {known}"
FAILED = "{count} of {of} clients failed '{action}': {reasons}"


class QueryError(RunError):
    """Clients failed to answer a query; the message says which and why."""


def handshake(grid: Grid, needed: int, timeout: float) -> list[Client]:
    """Ask every node who it is (``query.describe``); the clients in order of their indices.

    Node ids are random on most engines and change from run to run; a client's index is its identity
    in everything that must be reproducible. It is the partition id that an engine has given it.
    Where no client has one, it is the client's place among all names, in order. A client without a
    name is called by its index.

    Raises `TimeoutError` if there are fewer than ``needed`` nodes in time, `QueryError` if one does
    not answer or does not say who it is, or two say the same.
    """
    nodes = wait_for_nodes(grid, needed, timeout)
    content = RecordDict({CONFIG_KEY: ConfigRecord({"round": 0})})
    requests = [Message(content, node, "query.describe") for node in nodes]
    answers = dict(zip(nodes, ask(grid, requests, timeout), strict=True))
    failed = {node: found for node, found in answers.items() if isinstance(found, str)}
    said = {node: found.content for node, found in answers.items() if isinstance(found, Message)}
    numbers = _numbers(said)
    failed |= {node: UNNUMBERED for node in said if node not in numbers}
    _raise_failures("describe", {f"node {node}": failed[node] for node in failed}, len(nodes))
    clients = [
        Client(numbers[node], _name(content) or str(numbers[node]), node)
        for node, content in said.items()
    ]
    _refuse_twins(clients)
    return sorted(clients, key=lambda client: client.index)


def _numbers(said: Mapping[int, RecordDict]) -> dict[int, int]:
    """Index by node of the clients that have one; see :func:`handshake`."""
    partitions = {node: _partition(content) for node, content in said.items()}
    numbers = {node: number for node, number in partitions.items() if number is not None}
    names = {node: name for node, content in said.items() if (name := _name(content))}
    if numbers or len(names) < len(said):
        return numbers
    ordered = sorted(names.values())
    return {node: ordered.index(name) for node, name in names.items()}


def _partition(content: RecordDict) -> int | None:
    """The partition id that a reply says; None if it says none."""
    said = content.metric_records.get(METRICS_KEY, MetricRecord()).get(PARTITION_KEY)
    return said if isinstance(said, int) else None


def _name(content: RecordDict) -> str:
    """What a client calls itself; empty if it does not say."""
    return str(content.config_records.get(WHO_KEY, ConfigRecord()).get("name", ""))


def _refuse_twins(clients: Iterable[Client]) -> None:
    """Refuse two clients of one name or one index."""
    names: dict[str, int] = {}
    indices: dict[int, int] = {}
    for client in clients:
        first = names.setdefault(client.name, client.node)
        if first != client.node and client.name != str(client.index):
            raise QueryError(SAME_NAME.format(first=first, second=client.node, name=client.name))
        first = indices.setdefault(client.index, client.node)
        if first != client.node:
            raise QueryError(
                SAME_PARTITION.format(first=first, second=client.node, partition=client.index)
            )


def _raise_failures(action: str, failed: Mapping[str, str], of: int) -> None:
    if failed:
        reasons = "; ".join(f"{who}: {reason}" for who, reason in failed.items())
        raise QueryError(FAILED.format(count=len(failed), of=of, action=action, reasons=reasons))


def query(
    grid: Grid,
    clients: Sequence[Client],
    action: str,
    config: Mapping[str, ConfigRecordValues],
    timeout: float,
    arrays: ArrayRecord | None = None,
    needed: int | None = None,
) -> dict[int, RecordDict]:
    """Send ``query.<action>`` to clients; what each answers, by client index, ascending.

    `config` is the request's ConfigRecord ``"config"``, whose ``round`` is 0 unless given, and
    `arrays` what is in it as well. All have `timeout` seconds together. Raises `QueryError` if
    fewer than `needed` (of all, unless given) answer, or some say that they are others.
    """
    whom = [client.index for client in clients]
    exchange = Exchange.alike(f"query.{action}", whom, {"round": 0, **config}, arrays)
    answers = perform(grid, clients, exchange, timeout)
    for index, reply in list(answers.replies.items()):
        said = _partition(reply.content)
        if said != index:
            reason = UNNUMBERED if said is None else OTHER_CLIENT.format(said=said, known=index)
            answers.reject(index, reason)
    failed = {f"client {answers.names[index]}": why for index, why in answers.errors.items()}
    if needed is None or len(answers.replies) < needed:
        _raise_failures(action, failed, len(clients))
    return {index: reply.content for index, reply in answers.replies.items()}


def sample(clients: Iterable[int], fraction: float, seed: int, server_round: int) -> list[int]:
    """Draw the clients of a round, reproducibly; their indices, ascending, at least one.

    The draw is over client indices (node ids change from run to run) and depends on nothing but its
    arguments, so a resumed run draws what the first would have drawn. `fraction` is in (0, 1].
    """
    ordered = sorted(clients)
    if fraction >= 1.0:
        return ordered
    size = max(1, round(fraction * len(ordered)))
    return sorted(random.Random(f"{seed}/{server_round}").sample(ordered, size))
