"""The in-process engine: order, isolation, state, failures, the wire."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest
from flwr.app import (
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from fairfed.engines.inprocess import InProcessGrid, run_in_process
from fairfed.engines.run import run_apps
from semantic.errors import InputError


def counting_app() -> ClientApp:
    """Answer with the partition id and the number of calls so far."""
    app = ClientApp()

    @app.query("count")
    def count(msg: Message, context: Context) -> Message:
        calls = 1
        if "counter" in context.state:
            calls += int(context.state.config_records["counter"]["calls"])
        context.state["counter"] = ConfigRecord({"calls": calls})
        if msg.content["config"].get("fail") == context.node_config["partition-id"]:
            raise RuntimeError("boom")
        metrics = {"partition-id": int(context.node_config["partition-id"]), "calls": calls}
        return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=msg)

    return app


def ask_all(grid: Grid, action: str = "count", **config: int) -> list[Message]:
    content = RecordDict({"config": ConfigRecord(config)})
    messages = [Message(content, node, f"query.{action}") for node in grid.get_node_ids()]
    return list(grid.send_and_receive(messages))


def values(replies: list[Message], key: str) -> list[object]:
    return [reply.content["metrics"][key] for reply in replies]


@pytest.mark.parametrize("wire", [False, True])
@pytest.mark.parametrize("workers", [1, 3])
def test_replies_come_in_partition_order_and_state_persists(workers: int, wire: bool) -> None:
    with InProcessGrid(counting_app(), 7, workers=workers, wire=wire) as grid:
        assert list(grid.get_node_ids()) == list(range(1000, 1007))
        ask_all(grid)
        replies = ask_all(grid)
        assert values(replies, "partition-id") == list(range(7))
        assert values(replies, "calls") == [2] * 7
        assert [reply.metadata.src_node_id for reply in replies] == list(range(1000, 1007))


def test_order_does_not_depend_on_who_finishes_first() -> None:
    app = ClientApp()
    last_is_done = threading.Event()

    @app.query()
    def slow(msg: Message, context: Context) -> Message:
        partition = int(context.node_config["partition-id"])
        if partition == 3:
            last_is_done.set()
        elif partition == 0:
            assert last_is_done.wait(10)
        return Message(
            RecordDict({"metrics": MetricRecord({"partition-id": partition})}), reply_to=msg
        )

    arrived = []
    with InProcessGrid(
        app, 4, workers=4, on_reply=lambda done, total, r: arrived.append((done, total, r))
    ) as grid:
        replies = [
            Message(RecordDict(), node, "query") for node in reversed(list(grid.get_node_ids()))
        ]
        ordered = list(grid.send_and_receive(replies))
    assert values(ordered, "partition-id") == [0, 1, 2, 3]
    assert [(done, total) for done, total, _ in arrived] == [(i, 4) for i in range(1, 5)]
    assert values([reply for *_, reply in arrived], "partition-id") != [0, 1, 2, 3]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_raising_client_is_an_error_reply_logged_counted_and_keeps_its_state(
    workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    with InProcessGrid(counting_app(), 3, workers=workers) as grid:
        ask_all(grid)
        with caplog.at_level(logging.ERROR, "fairfed"):
            replies = ask_all(grid, fail=1)
        assert [reply.has_error() for reply in replies] == [False, True, False]
        assert replies[1].error.code == 2
        assert replies[1].error.reason == "<class 'RuntimeError'>:<'boom'>"
        assert replies[1].metadata.reply_to_message_id
        assert grid.failures == 1
        assert values(ask_all(grid), "calls") == [3, 2, 3]
    record = next(r for r in caplog.records if "client 1 failed on 'query.count'" in r.getMessage())
    assert record.exc_info is not None


def test_a_client_that_exits_is_an_error_reply() -> None:
    app = ClientApp()

    @app.query()
    def leave(msg: Message, context: Context) -> Message:
        raise SystemExit(3)

    with InProcessGrid(app, 1) as grid:
        (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "query")])
    assert "SystemExit" in str(reply.error.reason)


@pytest.mark.parametrize("workers", [1, 2])
def test_keyboard_interrupt_stops_the_run_and_no_further_client_starts(workers: int) -> None:
    app = ClientApp()
    started = []

    @app.query()
    def interrupt(msg: Message, context: Context) -> Message:
        started.append(context.node_id)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), InProcessGrid(app, 50, workers=workers) as grid:
        list(grid.send_and_receive([Message(RecordDict(), n, "query") for n in range(1000, 1050)]))
    if workers == 1:
        assert started == [1000]
    with InProcessGrid(counting_app(), 1) as grid:  # the identity was given back
        assert values(ask_all(grid), "calls") == [1]


def test_clients_share_no_containers_with_the_server_or_each_other() -> None:
    app = ClientApp()
    kept = {}

    @app.train()
    def spoil(msg: Message, context: Context) -> Message:
        arrays = msg.content.array_records["arrays"]
        config = msg.content.config_records["config"]
        seen = {"x": float(arrays["x"].numpy()[0]), "list": list(config["list"]), "n": len(config)}
        config["list"].append(9)
        config["new"] = 1
        arrays["x"].data = b"spoilt"
        metrics = MetricRecord({"seen": seen["list"], "x": seen["x"], "keys": seen["n"]})
        kept[context.node_id] = metrics
        context.state["kept"] = metrics
        return Message(RecordDict({"metrics": metrics}), reply_to=msg)

    arrays = ArrayRecord({"x": ArrayRecord([np.ones(1)])["0"]})
    content = RecordDict({"arrays": arrays, "config": ConfigRecord({"list": [1, 2]})})
    with InProcessGrid(app, 3) as grid:
        replies = list(
            grid.send_and_receive([Message(content, 1000 + i, "train") for i in range(3)])
        )
        kept[1000]["x"] = 7.0
        kept[1000]["seen"].append(7)
    assert values(replies, "seen") == [[1, 2]] * 3
    assert values(replies, "x") == [1.0] * 3
    assert values(replies, "keys") == [1] * 3
    assert content.config_records["config"]["list"] == [1, 2]


def test_two_messages_to_one_client_keep_their_order_with_several_workers() -> None:
    with InProcessGrid(counting_app(), 2, workers=4) as grid:
        content = RecordDict({"config": ConfigRecord()})
        nodes = [1001, 1000, 1001, 1000, 1001]
        replies = list(grid.send_and_receive([Message(content, n, "query.count") for n in nodes]))
    assert values(replies, "partition-id") == [0, 0, 1, 1, 1]
    assert values(replies, "calls") == [1, 2, 1, 2, 3]


def test_a_reply_to_another_message_becomes_an_error() -> None:
    app = ClientApp()
    first: list[Message] = []

    @app.query()
    def mix_up(msg: Message, context: Context) -> Message:
        first.append(msg)
        return Message(RecordDict(), reply_to=first[0])

    @app.query("nothing")
    def nothing(msg: Message, context: Context) -> Message:
        return None  # type: ignore[return-value]

    with InProcessGrid(app, 2) as grid:
        replies = list(
            grid.send_and_receive([Message(RecordDict(), n, "query") for n in (1000, 1001)])
        )
        assert not replies[0].has_error()
        assert "reply_to=request" in str(replies[1].error.reason)
        (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "query.nothing")])
        assert "returned NoneType" in str(reply.error.reason)


def test_unknown_node_unknown_action_and_non_requests() -> None:
    with InProcessGrid(counting_app(), 1) as grid:
        (reply,) = grid.send_and_receive([Message(RecordDict(), 77, "query.count")])
        assert reply.error.code == 5
        (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "query.nowhere")])
        assert "nowhere" in str(reply.error.reason)
        with pytest.raises(ValueError, match="only push requests"):
            grid.push_messages([reply])


def test_wire_finds_content_that_cannot_be_serialised() -> None:
    app = ClientApp()

    @app.query()
    def huge(msg: Message, context: Context) -> Message:
        return Message(RecordDict({"metrics": MetricRecord({"n": 2**70})}), reply_to=msg)

    with InProcessGrid(app, 1) as grid:
        (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "query")])
        assert not reply.has_error()
    with InProcessGrid(app, 1, wire=True) as grid:
        (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "query")])
        assert reply.has_error()


def test_faults_can_be_injected_and_time_can_run_out() -> None:
    faults = {0: "lost", 2: "cable cut"}
    with InProcessGrid(counting_app(), 3, drop=lambda msg, pid: faults.get(pid)) as grid:
        replies = ask_all(grid)
        assert len(replies) == 2
        assert replies[0].content["metrics"]["partition-id"] == 1
        assert replies[1].error.reason == "cable cut"
        late = [Message(RecordDict({"config": ConfigRecord()}), 1001, "query.count")]
        assert list(grid.send_and_receive(late, timeout=0.0)) == []


def test_push_and_pull_answer_each_message_once() -> None:
    with InProcessGrid(counting_app(), 2) as grid:
        content = RecordDict({"config": ConfigRecord()})
        ids = list(grid.push_messages([Message(content, n, "query.count") for n in (1000, 1001)]))
        assert len(set(ids)) == 2
        (reply,) = grid.pull_messages(ids[:1])
        assert reply.metadata.reply_to_message_id == ids[0]
        assert len(list(grid.pull_messages(ids))) == 1
        assert list(grid.pull_messages(ids)) == []
        made = grid.create_message(content, "query.count", 1000, "1")
        assert (made.metadata.dst_node_id, made.metadata.group_id) == (1000, "1")


def test_client_states_survive_through_bytes() -> None:
    with InProcessGrid(counting_app(), 2) as grid:
        ask_all(grid)
        states = grid.client_states()
    with InProcessGrid(counting_app(), 2) as grid:
        grid.load_client_states(states)
        assert values(ask_all(grid), "calls") == [2, 2]


def test_one_federation_at_a_time() -> None:
    with (
        InProcessGrid(counting_app(), 1),
        pytest.raises(RuntimeError, match="another federation"),
        InProcessGrid(counting_app(), 1),
    ):
        pass


def test_server_and_clients_see_the_run_configuration() -> None:
    client_app, server_app, seen = ClientApp(), ServerApp(), {}

    @client_app.query()
    def show(msg: Message, context: Context) -> Message:
        n = int(context.node_config["num-partitions"]) + int(context.run_config["offset"])
        return Message(RecordDict({"metrics": MetricRecord({"n": n})}), reply_to=msg)

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        seen["server"] = context.run_config["offset"]
        messages = [Message(RecordDict(), node, "query") for node in grid.get_node_ids()]
        seen["clients"] = values(list(grid.send_and_receive(messages)), "n")
        assert context.run_id == grid.run.run_id

    run_apps(server_app, client_app, 2, run_config={"offset": 40})
    assert seen == {"server": 40, "clients": [42, 42]}


def test_server_exceptions_pass_and_the_next_run_works() -> None:
    server_app = ServerApp()

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        raise LookupError("server")

    for _ in range(2):
        with pytest.raises(LookupError, match="server"):
            run_in_process(server_app, counting_app(), 1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"engine": "rays"}, "engine 'rays': expected one of inprocess, ray"),
        ({"workers": 0}, "workers = 0"),
        ({"num_clients": 0}, "num_clients = 0"),
    ],
)
def test_wrong_arguments_name_the_field(arguments: dict[str, object], text: str) -> None:
    given: dict[str, object] = {"num_clients": 1, **arguments}
    with pytest.raises(InputError, match=text):
        run_apps(ServerApp(), counting_app(), **given)  # type: ignore[arg-type]
