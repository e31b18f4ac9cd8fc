"""Clients in worker processes of Ray give what they give in this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fairfed.engines import ray as ray_engine
from fairfed.engines.inprocess import Handle, InProcessGrid
from fairfed.engines.run import run_apps
from semantic.errors import InputError
from tests.fairfed.engines import faults
from tests.fairfed.engines.working import working


def run_program(program: ModuleType) -> tuple[Any, str]:
    """Run a program on Ray; return what it printed and what it complained about."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(program.__file__), "ray"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def counting_app() -> ClientApp:
    app = ClientApp()

    @app.query()
    def number(msg: Message, context: Context) -> Message:
        offset = int(context.run_config["offset"])
        return Message(RecordDict({"metrics": MetricRecord({"offset": offset})}), reply_to=msg)

    return app


def test_clients_see_the_run_configuration() -> None:
    handle, failures = working(counting_app())
    with InProcessGrid(ClientApp(), 1, run_config={"offset": 3}, handle=handle) as grid:
        (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "query")])
    assert reply.content["metrics"]["offset"] == 3
    assert failures == [""]


def test_a_failure_has_the_text_of_the_other_engine() -> None:
    def reason(handle: Handle | None) -> str | None:
        with InProcessGrid(counting_app(), 1, handle=handle) as grid:
            (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "query.nowhere")])
        return reply.error.reason

    handle, failures = working(counting_app())
    assert reason(handle) == reason(None)
    assert failures[0].startswith("Traceback")


def test_a_traceback_travels_without_what_the_errors_say() -> None:
    app = ClientApp()

    @app.query()
    def fail(msg: Message, context: Context) -> Message:
        try:
            raise ValueError(str(context.node_id))  # 1000
        except ValueError:
            raise KeyError("withheld") from None

    handle, failures = working(app)
    with InProcessGrid(ClientApp(), 1, handle=handle) as grid:
        grid.send_and_receive([Message(RecordDict(), 1000, "query")])
    (places,) = failures
    assert "raise ValueError(str(context.node_id))" in places
    assert places.index("ValueError") < places.index("KeyError")
    assert "'1000'" not in places
    assert "ValueError: " not in places


@pytest.mark.ray
def test_a_client_that_dies_or_takes_too_long_costs_its_own_reply_alone() -> None:
    found, complaints = run_program(faults)
    before, died, replaced, slept, after = found
    assert before == [1, 1, 1]
    assert died == [2, f"<class 'RuntimeError'>:<'{ray_engine.DIED}'>", 2]
    assert replaced == [3, 2, 3]
    assert slept == [4, 3]  # without the reply of client 2
    assert after == [5, 4, 4]  # whose state is as it was
    assert f"client 1 failed on 'query'\n{ray_engine.DIED}" in complaints


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell lets its background jobs ignore Ctrl-C, and so would their children."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def test_no_more_workers_than_cores(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1, 2}, raising=False)
    assert [ray_engine._capped(workers) for workers in (1, 3)] == [1, 3]
    assert not caplog.records
    assert ray_engine._capped(100) == 3
    assert "workers = 100, but there are 3 cores" in caplog.text


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
