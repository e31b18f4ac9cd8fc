"""Waiting, identity, attribution of errors, sampling."""

from __future__ import annotations

import pytest
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fairfed.engines.inprocess import InProcessGrid
from fairfed.engines.nodes import wait_for_nodes
from fairfed.rounds.clients import QueryError, handshake, query, sample
from fairfed.rounds.exchange import Client, Exchange, perform


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


def test_handshake_says_who_is_where_in_order() -> None:
    with InProcessGrid(describing_app({0: 2, 2: 0}), 3) as grid:
        found = handshake(grid, 3, 10)
    assert found == [Client(0, "0", 1002), Client(1, "1", 1001), Client(2, "2", 1000)]


def naming_app(names: list[str], numbered: bool) -> ClientApp:
    """Say one's name, and one's number if that is known; an empty name is not said."""
    app = ClientApp()

    @app.query("describe")
    def describe(msg: Message, context: Context) -> Message:
        partition = int(context.node_config["partition-id"])
        metrics = MetricRecord({"partition-id": partition} if numbered else {})
        records = RecordDict({"metrics": metrics})
        if names[partition]:
            records["who"] = ConfigRecord({"name": names[partition]})
        return Message(records, reply_to=msg)

    return app


def test_clients_are_called_what_they_call_themselves() -> None:
    with InProcessGrid(naming_app(["", "north"], numbered=True), 2) as grid:
        assert [client.name for client in handshake(grid, 2, 10)] == ["0", "north"]


def test_clients_without_numbers_are_in_the_order_of_their_names() -> None:
    with InProcessGrid(naming_app(["south", "west", "north"], numbered=False), 3) as grid:
        found = handshake(grid, 3, 10)
    assert found == [Client(0, "north", 1002), Client(1, "south", 1000), Client(2, "west", 1001)]


@pytest.mark.parametrize("numbered", [True, False])
def test_two_clients_of_one_name_are_refused(numbered: bool) -> None:
    with (
        InProcessGrid(naming_app(["west", "west"], numbered), 2) as grid,
        pytest.raises(QueryError, match="nodes 1000 and 1001 both say that they are 'west'"),
    ):
        handshake(grid, 2, 10)


def test_two_nodes_with_one_partition_are_refused() -> None:
    with (
        InProcessGrid(describing_app({1: 0}), 2) as grid,
        pytest.raises(QueryError, match="nodes 1000 and 1001 both say that they are partition 0"),
    ):
        handshake(grid, 2, 10)


def test_a_client_that_does_not_say_who_it_is_ends_the_handshake() -> None:
    said = r"2 of 4 clients failed 'describe': node 1001: .*no data.*; node 1002: .*no integer"
    with (
        InProcessGrid(describing_app({1: None, 2: 2.5}), 4) as grid,
        pytest.raises(QueryError, match=said),
    ):
        handshake(grid, 4, 10)


def test_a_query_returns_what_each_client_says_or_names_who_failed() -> None:
    clients = [Client(0, "north", 1000), Client(1, "south", 1001), Client(2, "west", 1002)]
    with InProcessGrid(describing_app({1: None, 2: 1}), 3) as grid:
        said = "2 of 3 clients failed 'describe': client south: .*no data.*; client west: .* 1, the"
        with pytest.raises(QueryError, match=said):
            query(grid, clients, "describe", {}, 10)
        found = query(grid, clients[:1], "describe", {"round": 3}, 10)
    assert dict(found[0].metric_records["metrics"]) == {"partition-id": 0, "round": 3}


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
        clients = [Client(index, f"c{index}", 1000 + index) for index in range(3)]
        exchange = Exchange.alike("query.describe", range(3), {"round": 1}, label="ask")
        answers = perform(grid, clients, exchange, timeout=5)
    assert list(answers.replies) == [2]
    assert answers.errors == {0: "ask: cable cut", 1: "ask: no reply within 5 s"}


def test_every_message_says_whom_it_is_addressed_to() -> None:
    seen: list[tuple[int, int]] = []
    app = ClientApp()

    @app.train()
    def train(msg: Message, context: Context) -> Message:
        told = msg.content.config_records["config"]["client"]
        seen.append((context.node_id, int(told)))  # type: ignore[arg-type]
        return Message(RecordDict(), reply_to=msg)

    clients = [Client(0, "a", 1001), Client(1, "b", 1000)]
    with InProcessGrid(app, 2) as grid:
        perform(grid, clients, Exchange.alike("train", (0, 1), {}), 60)
    assert sorted(seen) == [(1000, 1), (1001, 0)]


def test_the_draw_is_over_clients_and_does_not_see_their_order() -> None:
    rounds = [sample(range(10), 0.3, 7, number) for number in range(1, 6)]
    assert rounds == [sample(reversed(range(10)), 0.3, 7, number) for number in range(1, 6)]
    assert all(len(drawn) == 3 and drawn == sorted(drawn) for drawn in rounds)
    assert len({tuple(drawn) for drawn in rounds}) > 1
    assert sample(range(9, -1, -1), 1.0, 7, 1) == list(range(10))
    assert len(sample(range(10), 0.001, 7, 1)) == 1
