"""Questions to clients and who answered: waiting, identity, errors with a name.

The same code runs on every Flower engine. Error replies that a SuperLink makes up carry its own
node id and not the failing node's, so answers are attributed by the message that they reply to.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping

from flwr.app import (
    ArrayRecord,
    ConfigRecord,
    ConfigRecordValues,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.serverapp import Grid

from fairfed.errors import RunError

PARTITION_KEY = "partition-id"
METRICS_KEY = "metrics"
CONFIG_KEY = "config"
ARRAYS_KEY = "arrays"

NO_NODES = "{found} of {needed} clients are there after {timeout:g} s: start them or wait longer"
NO_REPLY = "no reply within {timeout:g} s"
SAME_PARTITION = (
    "nodes {first} and {second} both say that they are partition {partition}: give every client "
    "its own partition-id"
)


class QueryError(RunError):
    """Clients failed to answer a query; the message says which and why."""


def wait_for_nodes(grid: Grid, needed: int, timeout: float, poll: float = 0.1) -> list[int]:
    """Wait until ``needed`` nodes are there and return all node ids.

    Flower's simulation starts the ServerApp before its nodes exist, and Flower's own
    ``sample_nodes`` waits forever.

    Parameters
    ----------
    grid : Grid
        Any Flower grid.
    needed : int
        Number of nodes to wait for.
    timeout : float
        Seconds until giving up.
    poll : float
        Seconds between two looks.

    Raises
    ------
    TimeoutError
        Fewer than ``needed`` nodes when the time was up.
    """
    deadline = time.monotonic() + timeout
    while len(nodes := list(grid.get_node_ids())) < needed:
        if time.monotonic() >= deadline:
            raise TimeoutError(NO_NODES.format(found=len(nodes), needed=needed, timeout=timeout))
        time.sleep(poll)
    return nodes


def ask(
    grid: Grid, messages: Iterable[Message], timeout: float
) -> tuple[dict[int, Message], dict[int, str]]:
    """Send one message per node and say who answered and who failed.

    Parameters
    ----------
    grid : Grid
        Any Flower grid.
    messages : iterable of Message
        At most one per destination node.
    timeout : float
        Seconds to wait for replies.

    Returns
    -------
    answers : dict of int to Message
        The reply of each node that gave one, by node id, in the order asked.
    errors : dict of int to str
        Why each other node gave none, by node id, in the order asked.
    """
    asked = list(messages)
    replies = list(grid.send_and_receive(asked, timeout=timeout))
    by_request = {reply.metadata.reply_to_message_id: reply for reply in replies}
    answers: dict[int, Message] = {}
    errors: dict[int, str] = {}
    for request in asked:
        node = request.metadata.dst_node_id
        reply = by_request.get(request.metadata.message_id)
        if reply is None:
            errors[node] = NO_REPLY.format(timeout=timeout)
        elif reply.has_error():
            errors[node] = reply.error.reason or f"error {reply.error.code} without a reason"
        else:
            answers[node] = reply
    return answers, errors


def handshake(grid: Grid, needed: int, timeout: float) -> dict[int, int]:
    """Ask every node which partition it holds (``query.describe``).

    Node ids are random on most engines and change from run to run; the partition id is a client's
    identity in everything that must be reproducible.

    Returns
    -------
    dict of int to int
        Partition id by node id, in order of partition id.

    Raises
    ------
    TimeoutError
        Fewer than ``needed`` nodes in time.
    QueryError
        A node did not answer, or two nodes hold one partition.
    """
    wait_for_nodes(grid, needed, timeout)
    found = _query(grid, "describe", {}, timeout)
    return {node: partition for partition, (node, _) in found.items()}


def query_all(
    grid: Grid, action: str, config: Mapping[str, ConfigRecordValues], timeout: float
) -> dict[int, MetricRecord]:
    """Send ``query.<action>`` to every node; the record ``"metrics"`` of each answer.

    As :func:`query_records`, for answers that are this record alone.
    """
    found = query_records(grid, action, config, timeout)
    return {partition: content.metric_records[METRICS_KEY] for partition, content in found.items()}


def query_records(
    grid: Grid,
    action: str,
    config: Mapping[str, ConfigRecordValues],
    timeout: float,
    arrays: ArrayRecord | None = None,
) -> dict[int, RecordDict]:
    """Send ``query.<action>`` to every node that is there.

    Parameters
    ----------
    grid : Grid
        Any Flower grid.
    action : str
        Name of the query, for example ``"describe"`` or ``"augment"``.
    config : mapping
        Values of the request's ConfigRecord ``"config"``; ``round`` is 0 unless given.
    timeout : float
        Seconds to wait for replies.
    arrays : ArrayRecord, optional
        Arrays of the request.

    Returns
    -------
    dict of int to RecordDict
        All that each client answers, by partition id, ascending.

    Raises
    ------
    QueryError
        A client failed, or two nodes hold one partition.
    """
    found = _query(grid, action, config, timeout, arrays)
    return {partition: content for partition, (_, content) in found.items()}


def _query(
    grid: Grid,
    action: str,
    config: Mapping[str, ConfigRecordValues],
    timeout: float,
    arrays: ArrayRecord | None = None,
) -> dict[int, tuple[int, RecordDict]]:
    """Return (node id, records) by partition id, ascending."""
    content = RecordDict({CONFIG_KEY: ConfigRecord({"round": 0, **config})})
    if arrays is not None:
        content[ARRAYS_KEY] = arrays
    requests = [Message(content, node, f"query.{action}") for node in grid.get_node_ids()]
    answers, failed = ask(grid, requests, timeout)
    found: dict[int, tuple[int, RecordDict]] = {}
    for node, reply in answers.items():
        metrics = reply.content.metric_records.get(METRICS_KEY)
        partition = None if metrics is None else metrics.get(PARTITION_KEY)
        if not isinstance(partition, int):
            failed[node] = f"the reply has no integer '{PARTITION_KEY}' in its '{METRICS_KEY}'"
        elif partition in found:
            first = found[partition][0]
            raise QueryError(SAME_PARTITION.format(first=first, second=node, partition=partition))
        else:
            found[partition] = (node, reply.content)
    if failed:
        reasons = "; ".join(f"node {node}: {reason}" for node, reason in failed.items())
        raise QueryError(f"{len(failed)} of {len(requests)} clients failed '{action}': {reasons}")
    return dict(sorted(found.items()))


def sample(sites: Mapping[int, int], fraction: float, seed: int, server_round: int) -> list[int]:
    """Draw the nodes of a round, reproducibly.

    The draw is over partition ids (node ids change from run to run) and depends on nothing but
    its arguments, so a resumed run draws what the first would have drawn.

    Parameters
    ----------
    sites : mapping of int to int
        Partition id by node id.
    fraction : float
        Share of clients, in (0, 1]; at least one client is drawn.
    seed, server_round : int
        What the draw depends on.

    Returns
    -------
    list of int
        Node ids in order of partition id.
    """
    nodes = sorted(sites, key=lambda node: sites[node])
    if fraction >= 1.0:
        return nodes
    size = max(1, round(fraction * len(nodes)))
    drawn = random.Random(f"{seed}/{server_round}").sample(nodes, size)
    return sorted(drawn, key=lambda node: sites[node])
