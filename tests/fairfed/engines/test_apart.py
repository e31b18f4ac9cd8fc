"""Clients in processes of their own: where they are, what they keep, how they fail."""

from __future__ import annotations

import os

import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fairfed.engines.apart import ClientsApart
from fairfed.engines.inprocess import InProcessGrid
from fairfed.errors import PublicInputError

HERE = "tests.fairfed.engines.test_apart:client"


def client(name: str) -> ClientApp:
    """An app that says where it is, counts its messages, fails or dies as it is asked."""
    app = ClientApp()

    @app.query("who")
    def who(message: Message, context: Context) -> Message:
        asked = message.content.config_records["config"]
        if asked.get("die"):
            os._exit(3)
        if asked.get("fail"):
            raise PublicInputError(f"{name} does not want to")
        seen = int(context.state.metric_records.get("seen", MetricRecord({"n": 0}))["n"])  # type: ignore[arg-type]
        context.state["seen"] = MetricRecord({"n": seen + 1})
        found = MetricRecord({"process": os.getpid(), "seen": seen})
        content = {"metrics": found, "who": ConfigRecord({"name": name}), "a": ArrayRecord()}
        return Message(RecordDict(content), reply_to=message)

    return app


def _ask(grid: InProcessGrid, **config: bool) -> list[Message]:
    content = RecordDict({"config": ConfigRecord(dict(config))})
    requests = [Message(content, node, "query.who") for node in grid.get_node_ids()]
    return list(grid.send_and_receive(requests))


def test_every_client_has_a_process_and_its_state_is_the_servers_to_keep() -> None:
    with ClientsApart(HERE, ["north", "south"]) as apart, InProcessGrid(apart, 2) as grid:
        first, second = _ask(grid), _ask(grid)
        told = [reply.content.metric_records["metrics"] for reply in (*first, *second)]
        assert [one["seen"] for one in told] == [0, 0, 1, 1]
        processes = [one["process"] for one in told]
        assert processes[:2] == processes[2:]
        assert len({*processes, os.getpid()}) == 3
        names = [reply.content.config_records["who"]["name"] for reply in first]
        assert names == ["north", "south"]


def test_what_a_client_raises_and_its_death_are_errors_of_that_client_alone() -> None:
    with ClientsApart(HERE, ["north"]) as apart, InProcessGrid(apart, 1) as grid:
        (failed,) = _ask(grid, fail=True)
        assert "north does not want to" in failed.error.reason
        (died,) = _ask(grid, die=True)
        assert "process of client 0 has ended" in died.error.reason
        (again,) = _ask(grid)
        assert not again.has_error()


@pytest.mark.parametrize("workers", [1, 2])
def test_no_process_is_left_behind(workers: int) -> None:
    with ClientsApart(HERE, ["a", "b"]) as apart:
        with InProcessGrid(apart, 2, workers=workers) as grid:
            replies = _ask(grid)
        processes = [int(r.content.metric_records["metrics"]["process"]) for r in replies]  # type: ignore[arg-type]
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
