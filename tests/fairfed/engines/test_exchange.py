"""Waiting, identity, attribution of errors, sampling."""

from __future__ import annotations

import re

import pytest
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fairfed.engines.exchange import (
    QueryError,
    ask,
    handshake,
    query_all,
    sample,
    wait_for_nodes,
)
from fairfed.engines.inprocess import InProcessGrid


def describing_app(partitions: dict[int, object] | None = None) -> ClientApp:
    """Describe oneself; ``partitions`` replaces what a client says it is."""
    app = ClientApp()

    @app.query("describe")
    def describe(msg: Message, context: Context) -> Message:
        partition = context.node_config["partition-id"]
        said = (partitions or {}).get(int(partition), partition)
        if said is None:
            raise RuntimeError("no data")
        metrics = MetricRecord({"partition-id": said, "round": msg.content["config"]["round"]})
        return Message(RecordDict({"metrics": metrics}), reply_to=msg)

    return app


class Slow(InProcessGrid):
    """A grid whose nodes appear one by one."""

    looks = 0

    def get_node_ids(self) -> list[int]:
        self.looks += 1
        return list(super().get_node_ids())[: self.looks]


def test_waiting_for_nodes_is_bounded() -> None:
    grid = Slow(describing_app(), 3)
    assert wait_for_nodes(grid, 3, timeout=60, poll=0) == [1000, 1001, 1002]
    with pytest.raises(TimeoutError, match="3 of 4 clients are there after 0 s"):
        wait_for_nodes(grid, 4, timeout=0)


def test_handshake_maps_node_ids_to_partitions() -> None:
    with InProcessGrid(describing_app({0: 2, 2: 0}), 3) as grid:
        assert handshake(grid, 3, 10) == {1002: 0, 1001: 1, 1000: 2}
        assert list(handshake(grid, 3, 10).values()) == [0, 1, 2]


def test_two_nodes_with_one_partition_are_refused() -> None:
    with (
        InProcessGrid(describing_app({1: 0}), 2) as grid,
        pytest.raises(QueryError, match="nodes 1000 and 1001 both say that they are partition 0"),
    ):
        handshake(grid, 2, 10)


def test_a_query_that_fails_names_every_node_and_reason() -> None:
    with (
        InProcessGrid(describing_app({1: None, 2: 2.5}), 4) as grid,
        pytest.raises(QueryError, match=r"2 of 4 clients failed 'describe'") as raised,
    ):
        query_all(grid, "describe", {}, 10)
    assert re.search(r"node 1001: .*no data", str(raised.value))
    assert re.search(r"node 1002: .*no integer 'partition-id'", str(raised.value))


def test_a_query_hands_on_what_it_is_given() -> None:
    with InProcessGrid(describing_app(), 4) as grid:
        found = query_all(grid, "describe", {"round": 3}, 10)
    assert list(found) == [0, 1, 2, 3]
    assert found[3]["round"] == 3


def test_errors_are_attributed_by_the_request_that_they_answer() -> None:
    class Anonymous(InProcessGrid):
        """Error replies come from the server's own node id, as from a SuperLink."""

        def send_and_receive(
            self, messages: list[Message], *, timeout: float | None = None
        ) -> list[Message]:
            replies = list(super().send_and_receive(messages, timeout=timeout))
            for reply in replies:
                reply.metadata.__dict__["_src_node_id"] = 1
            return replies[::-1]

    faults = {0: "cable cut", 1: "lost"}
    with Anonymous(describing_app(), 3, drop=lambda msg, pid: faults.get(pid)) as grid:
        content = RecordDict({"config": ConfigRecord({"round": 1})})
        messages = [Message(content, node, "query.describe") for node in (1000, 1001, 1002)]
        answers, errors = ask(grid, messages, timeout=5)
    assert list(answers) == [1002]
    assert errors == {1000: "cable cut", 1001: "no reply within 5 s"}


def test_the_draw_is_over_partitions_and_does_not_see_node_ids() -> None:
    def drawn(sites: dict[int, int], server_round: int) -> list[int]:
        return [sites[node] for node in sample(sites, 0.3, 7, server_round)]

    one = {1000 + i: i for i in range(10)}
    other = {hash((i, "x")) % 10**9: i for i in reversed(range(10))}
    rounds = [drawn(one, r) for r in range(1, 6)]
    assert rounds == [drawn(other, r) for r in range(1, 6)]
    assert all(len(r) == 3 and r == sorted(r) for r in rounds)
    assert len({tuple(r) for r in rounds}) > 1
    assert sample(other, 1.0, 7, 1) == [
        node for node, _ in sorted(other.items(), key=lambda x: x[1])
    ]
    assert len(sample(one, 0.001, 7, 1)) == 1
