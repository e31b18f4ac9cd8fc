"""A coordinator on this machine, for a trial: SuperLink, SuperExec and proxy."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

from fairfed.deployment.asking import OK, UnreachableError, ask
from fairfed.deployment.control import register_known
from fairfed.deployment.coordinator import Coordinator
from fairfed.deployment.flower_errors import explained_log
from fairfed.deployment.processes import Process, wait_until
from fairfed.errors import RunError

PATIENCE = 120.0
"""Seconds that a process has to answer; it takes a few, on a busy machine many more."""
SHOWN = 15
"""Lines of a log that are shown where a process fails."""


def start(place: Coordinator, say: Callable[[str], None]) -> None:
    """Start what does not run, and wait until it answers; after a failure nothing is left running.

    Raises `RunError` with the end of the log of the process that failed, `InputError` if nginx is
    not installed.
    """
    started = []
    try:
        for name, process in place.processes().items():
            if process.runs():
                say(f"  {name} runs already (process {process.pid()})")
                continue
            from_here = process.logged()
            child = process.start()
            started.append(process)
            _wait_for(place, process, child, from_here)
            say(f"  {name}: process {child.pid}, log {process.log}")
            if name == "superlink":
                for line in register_known(place):
                    say(f"  {line}")
        for process in started:
            if process.died:
                raise _failed(process, 0)
    except BaseException:
        for process in reversed(started):
            process.stop()
        raise


def _wait_for(
    place: Coordinator, process: Process, child: subprocess.Popen[bytes], from_here: int
) -> None:
    """Wait for the first answer of a process. A SuperExec gives none: it only asks."""
    there = {
        "superlink": lambda: superlink_answers(place),
        "proxy": lambda: proxy_answers(place),
        "superexec": lambda: "SuperExec" in process.tail(SHOWN, from_here),
    }[process.name]
    if not wait_until(there, child, PATIENCE):
        raise _failed(process, from_here)


def _failed(process: Process, from_here: int) -> RunError:
    tail = explained_log(process.tail(SHOWN, from_here))
    return RunError(f"{process.name} failed. The end of its log, {process.log}:\n{tail}")


def superlink_answers(place: Coordinator) -> bool:
    """Whether the SuperLink is there, on loopback."""
    try:
        found = ask(
            f"127.0.0.1:{place.config.inner_port}", place.own_authority.read_text(), "/health"
        )
    except UnreachableError:
        return False
    return found.status == OK


def await_superlink(place: Coordinator) -> None:
    """Wait for the SuperLink, which systemd has only just started; `RunError` if none comes."""
    until = time.monotonic() + PATIENCE
    while not superlink_answers(place):
        if time.monotonic() > until:
            raise RunError(
                f"no SuperLink answers at 127.0.0.1:{place.config.inner_port}; `fairfed "
                "coordinator start`, or its unit, comes first"
            )
        time.sleep(0.5)


def proxy_answers(place: Coordinator) -> bool:
    """Whether the proxy is there; this machine may not reach it by its public address."""
    try:
        ask(f"127.0.0.1:{place.config.port}", place.authority.read_text())
    except UnreachableError as error:
        return error.answers  # an institution's certificate does not name this machine
    return True


def stop(place: Coordinator) -> list[str]:
    """Stop what runs, in reverse; the names of what did."""
    known = _known(place)
    return [process.name for process in reversed(known) if process.stop()]


def status(place: Coordinator) -> Iterator[tuple[bool, str]]:
    """Of each process whether it is there and answers, and a line about it."""
    answers = {
        "superlink": (superlink_answers, f"on 127.0.0.1:{place.config.inner_port}"),
        "proxy": (proxy_answers, f"for {place.config.reached}"),
    }
    for process in _known(place):
        look, where = answers.get(process.name, (None, ""))
        there = look(place) if look else process.runs()
        if process.runs():
            how = f"process {process.pid()}"
        elif process.died:
            how = f"has ended on its own, see {process.log}"
        else:
            how = "not started by `fairfed coordinator start`"
        answer = "" if look is None else f", answers {where}" if there else f", no answer {where}"
        yield there, f"{process.name}: {how}{answer}"


def watch(place: Coordinator, seconds: float = 1.0) -> None:
    """Return when one of the processes has ended, with a `RunError` that names it."""
    known = _known(place)
    while True:
        for process in known:
            if not process.runs():
                raise _failed(process, 0)
        time.sleep(seconds)


def _known(place: Coordinator) -> list[Process]:
    return list(place.processes("nginx").values())
