"""Flower's Ray simulation gives what the in-process engine gives."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fairfed.engines import ray as ray_engine
from fairfed.engines import run_apps
from fairfed.engines.inprocess import InProcessGrid
from fairfed.engines.ray import GuardedClientApp, ObservedGrid
from semantic.errors import InputError
from tests.fairfed.engines import federation


def federate_on_ray() -> tuple[dict[str, Any], str]:
    """Run the program on Ray; return what it printed and what it complained about."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, federation.__file__, "ray"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.ray
def test_ray_and_in_process_give_the_same_weights_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One thread each, summed in partition order in float64: the tolerance is zero."""
    monkeypatch.setenv("PYTHONPATH", "given")
    on_ray, complaints = federate_on_ray()
    here = json.loads(json.dumps(federation.federate("inprocess")))
    assert on_ray == here
    first, second = here["lines"]
    assert [row["error"] for row in first["clients"]] == [
        None,
        None,
        "<class 'SystemExit'>:<'first call fails'>",
        None,
    ]
    assert [row["error"] for row in second["clients"]] == [None] * 4
    assert here["progress"] == [[done, 4] for done in range(1, 5)] * 5
    assert on_ray["pythonpath"] == "given"
    assert "DEPRECATED" not in complaints
    assert 'sys.exit("first call fails")' in complaints  # the traceback


def counting_app() -> ClientApp:
    app = ClientApp()

    @app.query()
    def number(msg: Message, context: Context) -> Message:
        offset = int(context.run_config["offset"])
        return Message(RecordDict({"metrics": MetricRecord({"offset": offset})}), reply_to=msg)

    return app


def test_clients_see_the_run_configuration() -> None:
    app = GuardedClientApp(counting_app(), {"offset": 3})
    with InProcessGrid(app, 1) as grid:
        (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "query")])
    assert reply.content["metrics"]["offset"] == 3


def test_a_failure_has_the_text_of_the_other_engine_and_its_traceback_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def reason(app: ClientApp, observed: bool) -> str | None:
        with InProcessGrid(app, 1) as inner:
            grid = ObservedGrid(inner, None) if observed else inner
            (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "query.nowhere")])
        return reply.error.reason

    expected = reason(counting_app(), observed=False)
    caplog.clear()
    assert reason(GuardedClientApp(counting_app(), {}), observed=True) == expected
    (record,) = caplog.records
    assert record.getMessage().startswith("node 1000 failed on 'query.nowhere'\nTraceback")


def test_a_traceback_travels_without_what_the_errors_say() -> None:
    app = ClientApp()

    @app.query()
    def fail(msg: Message, context: Context) -> Message:
        try:
            raise ValueError(str(context.node_id))  # 1000
        except ValueError:
            raise KeyError("withheld") from None

    with InProcessGrid(GuardedClientApp(app, {}), 1) as grid:
        (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "query")])
    places = str(reply.error.reason).partition(ray_engine.TRACEBACK)[2]
    assert "raise ValueError(str(context.node_id))" in places
    assert places.index("ValueError") < places.index("KeyError")
    assert "'1000'" not in places
    assert "ValueError: " not in places


class Trickle(InProcessGrid):
    """Hands out one reply per look, as engines do that answer when they can."""

    def pull_messages(self, message_ids: Any) -> list[Message]:
        return list(super().pull_messages(list(message_ids)[:1]))


def test_replies_are_observed_one_by_one() -> None:
    seen: list[tuple[int, int]] = []
    with Trickle(counting_app(), 3, run_config={"offset": 1}) as inner:
        grid = ObservedGrid(inner, lambda done, total, reply: seen.append((done, total)), poll=0)
        grid.set_run(inner.run)
        messages = [
            grid.create_message(RecordDict(), "query", node, "1") for node in grid.get_node_ids()
        ]
        replies = list(grid.send_and_receive(messages, timeout=60))
        assert grid.run is inner.run
        late = [Message(RecordDict(), 1000, "query")]
        assert list(grid.send_and_receive(late, timeout=0)) == []
    assert len(replies) == 3
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_only_the_banner_is_hidden(caplog: pytest.LogCaptureFixture) -> None:
    flower = logging.getLogger("flwr")
    with caplog.at_level(logging.INFO, "flwr"), ray_engine._quiet(threading.Event()):
        flower.warning("DEPRECATED FEATURE: %s", "The `run_simulation` function is deprecated")
        flower.warning("DEPRECATED FEATURE: something else")
    assert [record.getMessage() for record in caplog.records] == [
        "DEPRECATED FEATURE: something else"
    ]


def test_a_stopped_grid_raises_instead_of_waiting() -> None:
    stopped = threading.Event()
    with InProcessGrid(counting_app(), 1, run_config={"offset": 1}) as inner:
        grid = ObservedGrid(inner, None, stopped=stopped)
        stopped.set()
        with pytest.raises(ray_engine.InterruptedRunError):
            grid.get_node_ids()
        with pytest.raises(ray_engine.InterruptedRunError):
            grid.send_and_receive([Message(RecordDict(), 1000, "query")])


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell lets its background jobs ignore Ctrl-C, and so would their children."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_stops_first_and_interrupts_then() -> None:
    stopped = threading.Event()
    former = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), ray_engine._stopping(stopped):
        signal.raise_signal(signal.SIGINT)
    assert stopped.is_set()
    assert signal.getsignal(signal.SIGINT) is former


def test_no_more_workers_than_cores(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1, 2}, raising=False)
    assert [ray_engine._capped(workers) for workers in (1, 3)] == [1, 3]
    assert not caplog.records
    assert ray_engine._capped(100) == 3
    assert "workers = 100, but there are 3 cores" in caplog.text


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stopped = threading.Event()
        with ray_engine._stopping(stopped):
            signal.raise_signal(signal.SIGINT)
        assert not stopped.is_set()
    finally:
        signal.signal(signal.SIGINT, former)


@pytest.mark.ray
@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_run_ends_at_once_and_logs_no_failure(
    small_toml: str, tmp_path: Path
) -> None:
    config = tmp_path / "small.toml"
    config.write_text(small_toml)
    out = tmp_path / "run"
    settings = ["engine=ray", "workers=1", "rounds=30", f"out={out}"]
    words = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-m", "fairfed", "run", str(config), *words]
    log = out / "rounds.jsonl"
    with (tmp_path / "said").open("w+") as said:
        run = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        deadline = time.monotonic() + 200
        while run.poll() is None and time.monotonic() < deadline:
            if log.is_file() and len(log.read_text().splitlines()) >= 2:
                break
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        try:
            assert run.wait(60) == 130
        finally:
            run.kill()
        said.seek(0)
        assert "Traceback" not in said.read()
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert {client["error"] for row in rows for client in row["clients"]} == {None}


def test_a_missing_ray_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="engine 'ray' needs Ray"):
        run_apps(ServerApp(), counting_app(), 1, engine="ray")
