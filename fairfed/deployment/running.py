"""A site's SuperNode on this machine: started, stopped, looked at."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial

from fairfed.deployment.checks import Finding, connection
from fairfed.deployment.flower_errors import explained_log
from fairfed.deployment.joining import Node
from fairfed.deployment.processes import Process, wait_until
from fairfed.errors import RunError
from semantic.errors import InputError

CONNECTED = re.compile(r"SuperNode ID: (\d+)")
REFUSED = "[code: 2004]"
PATIENCE = 60.0
"""Seconds that are waited for the connection; the SuperNode goes on trying."""
STEP, LONGEST = 20, 80
"""Seconds between two starts while a killed process counts as there, and all of them."""
SHOWN = 25
"""Lines of the log that are shown where it fails."""
AGAIN = (
    "the former process was killed, and the coordinator counts it as there for up to a minute: "
    f"waiting, for {LONGEST} s at most"
)


def checked(node: Node) -> list[Finding]:
    """Whether the coordinator is reached, trusted, and has the same time; `InputError` if not."""
    found = list(connection(node.invitation))
    wrong = "\n".join(str(finding) for finding in found if finding.holds is False)
    if wrong:
        raise InputError(f"{node.site.name} cannot reach the coordinator:\n{wrong}")
    return found


def start(
    node: Node, say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> Process:
    """Start the SuperNode apart from this terminal, and wait until the coordinator has taken it.

    Raises `RunError` if it runs already, or the coordinator refuses it: what its log says, and what
    to do.
    """
    process = node.process(free_port(node.port, say))
    killed = process.died
    for waited in range(0, LONGEST + 1, STEP):
        begin = process.logged()
        child = process.start()
        if wait_until(partial(_connected, process, begin), child, PATIENCE):
            say(f"{process.name}: process {child.pid}, connected; log {process.log}")
            return process
        if child.poll() is None:
            say(f"{process.name}: process {child.pid}, not connected yet: it goes on trying; "
                f"`fairfed site log {node.file}` shows how it fares")  # fmt: skip
            return process
        said = process.tail(SHOWN, begin)
        if not (killed and REFUSED in said and waited < LONGEST):
            process.stop()
            raise RunError(f"{process.name} has ended at once. Its log:\n{explained_log(said)}")
        if not waited:
            say(f"{process.name}: {AGAIN}")
        sleep(STEP)
    raise AssertionError("the last start returns or raises")


def _connected(process: Process, begin: int) -> bool:
    """Whether it says so in its log, from a byte on."""
    return CONNECTED.search(process.tail(SHOWN, begin)) is not None


def free_port(port: int, say: Callable[[str], None]) -> int:
    """The port if nobody has it, or another one: on this machine other sites may be started."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.bind(("127.0.0.1", 0))
            chosen = int(listener.getsockname()[1])
            say(f"port {port} is taken: {chosen} is used; `join --port` sets one for the unit")
            return chosen
    return port


def status(node: Node) -> Iterator[str]:
    """Lines on the process, and on its last connection."""
    process = node.process()
    if process.runs():
        yield f"{process.name}: process {process.pid()}, log {process.log}"
    elif process.died:
        yield f"{process.name}: has ended on its own; `fairfed site log {node.file}` says why"
    else:
        yield (
            f"{process.name}: not started by `fairfed site start`; of the unit: systemctl status "
            f"{node.unit.stem}"
        )
    numbers = CONNECTED.findall(process.tail(10_000))
    yield f"last connected as node {numbers[-1]}" if numbers else "never connected yet"


def log(node: Node, lines: int) -> str:
    """The end of the log, and what Flower's errors in it mean."""
    process = node.process()
    if not process.log.exists():
        raise InputError(f"{node.site.name} has no log yet; `fairfed site start {node.file}`")
    return explained_log(process.tail(lines))


def follow(
    process: Process, say: Callable[[str], None], seen: int = 0, seconds: float = 0.5
) -> None:
    """Show what the process says, from byte `seen` of its log on; `RunError` when it has ended."""
    while True:
        there = process.runs()
        with process.log.open("rb") as log:
            log.seek(seen)
            new = log.read()
        if new:
            say(new.decode(errors="replace").rstrip("\n"))
            seen += len(new)
        if not there:
            raise RunError(f"{process.name} has ended.\n{explained_log(process.tail(SHOWN))}")
        time.sleep(seconds)
