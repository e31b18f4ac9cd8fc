"""Processes that outlive their commands, and SuperNodes that the coordinator does not take at once.

They are small programs of Python here; what Flower's do is in `test_superlink.py`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairfed.deployment import running
from fairfed.deployment.coordinator import Coordinator
from fairfed.deployment.joining import Node, join
from fairfed.deployment.processes import Process, stopped_at_the_end, wait_until
from fairfed.errors import RunError

SLEEPS = "import time; print('there', flush=True); time.sleep(60)"
REFUSED = "print('Exit Code: 305\\n[code: 2004] no'); raise SystemExit(1)"
TAKEN = "import time; print('SuperNode ID: 7', flush=True); time.sleep(60)"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process("it", tmp_path / "it.pid", tmp_path / "it.log", (sys.executable, "-c", SLEEPS))
    yield made
    made.stop()


def test_a_process_is_started_seen_and_stopped(process: Process) -> None:
    child = process.start()
    assert wait_until(lambda: "there" in process.tail(1), child, 30)
    assert process.runs()
    assert process.pid() == child.pid
    assert process.stop()
    child.wait()
    assert (process.runs(), process.died, process.stop()) == (False, False, False)


def test_it_is_not_started_twice(process: Process) -> None:
    child = process.start()
    with pytest.raises(RunError, match=f"it runs already \\(process {child.pid}\\)"):
        process.start()


def test_one_that_was_killed_is_known_to_have_died(process: Process) -> None:
    child = process.start()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert (process.runs(), process.died) == (False, True)


def test_the_number_of_another_process_is_not_taken_for_it(process: Process) -> None:
    process.pid_file.write_text(f"{os.getpid()}\n")
    assert not process.runs()
    assert not process.stop()


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    process = Process("it", tmp_path / "it.pid", tmp_path / "it.log", (str(tmp_path / "nothing"),))
    with pytest.raises(RunError, match="nothing: No such file"):
        process.start()
    assert not process.pid_file.exists()


@pytest.fixture
def joined(place: Coordinator, site: Path) -> Iterator[Node]:
    found, _ = join(place.invitations / "a.toml", site)
    yield found
    found.process().stop()


def told_by(monkeypatch: pytest.MonkeyPatch, *programs: str) -> None:
    """SuperNodes that are these programs, one after another."""
    left = iter(programs)
    at = {"program": ""}

    def start(self: Process) -> object:
        at["program"] = next(left)
        return begin(
            Process(self.name, self.pid_file, self.log, (sys.executable, "-c", at["program"]))
        )

    begin = Process.start
    monkeypatch.setattr(Process, "start", start)


def test_a_site_starts(joined: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    told_by(monkeypatch, TAKEN)
    said: list[str] = []
    running.start(joined, said.append)
    assert "connected" in said[-1]
    assert "last connected as node 7" in list(running.status(joined))


def test_a_site_that_is_not_registered_ends_at_once_with_what_to_do(
    joined: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_by(monkeypatch, REFUSED)
    with pytest.raises(RunError, match="fairfed coordinator register"):
        running.start(joined, print, sleep=pytest.fail)
    assert not joined.process().died


def test_after_a_kill_it_waits_until_the_coordinator_has_noticed(
    joined: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined.process().pid_file.write_text("")  # as a killed one leaves it behind
    told_by(monkeypatch, REFUSED, REFUSED, TAKEN)
    said: list[str] = []
    waited: list[float] = []
    running.start(joined, said.append, sleep=waited.append)
    assert waited == [running.STEP] * 2
    assert "counts it as there for up to a minute" in "\n".join(said)
    assert "connected" in said[-1]


def test_it_does_not_wait_for_ever(joined: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    joined.process().pid_file.write_text("")
    told_by(monkeypatch, *[REFUSED] * 5)
    waited: list[float] = []
    with pytest.raises(RunError, match="has ended at once"):
        running.start(joined, lambda line: None, sleep=waited.append)
    assert sum(waited) == running.LONGEST


def test_the_log_is_shown_with_what_it_means(joined: Node) -> None:
    joined.process().log.write_text("one\ntwo\nExit Code: 302\n")
    assert running.log(joined, 2).startswith("two\nExit Code: 302\n→ The site's key is no OpenSSH")


def test_a_port_that_is_taken_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert running.free_port(port, said.append) != port
    assert f"port {port} is taken" in said[0]


def test_what_was_started_ends_with_a_command_that_is_told_to(process: Process) -> None:
    process.start()
    with pytest.raises(SystemExit), stopped_at_the_end(process.stop):
        signal.raise_signal(signal.SIGTERM)
    assert not process.runs()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_log_is_followed_until_its_process_ends(tmp_path: Path) -> None:
    says = "print('new', flush=True); print('Exit Code: 302')"
    process = Process("it", tmp_path / "it.pid", tmp_path / "it.log", (sys.executable, "-c", says))
    process.log.write_text("old\n")
    said: list[str] = []
    process.start()
    with pytest.raises(RunError, match="→ The site's key is no OpenSSH key"):
        running.follow(process, said.append, seen=4, seconds=0.01)
    process.stop()
    assert "\n".join(said) == "new\nExit Code: 302"
