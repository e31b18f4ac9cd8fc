"""Processes that go on when the command that started them has ended.

The file with a process's number is locked by the process itself, which has inherited it: so neither
another process with the same number nor a dead one that nobody has reaped is taken for it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from fairfed.errors import RunError
from generators.writing import explained

PATIENCE = 15.0
"""Seconds that a process has to end when it is asked to."""
MOST_LOG = 10_000_000
"""Bytes of a log; a longer one is put aside at the next start."""
_children: dict[Path, subprocess.Popen[bytes]] = {}
"""What this process has started itself, and so has to reap."""


@dataclass(frozen=True)
class Process:
    """A process by its files."""

    name: str  # what it is called
    # Its number, and all it says.
    pid_file: Path
    log: Path
    command: tuple[str, ...] = ()  # what it is; empty to look at one or to stop it
    environment: Mapping[str, str] = field(default_factory=dict)  # added to this process's

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, apart from this terminal; `RunError` if it runs already or cannot start."""
        with explained(self.pid_file):
            self.pid_file.parent.mkdir(parents=True, exist_ok=True)
            self.log.parent.mkdir(parents=True, exist_ok=True)
            if self.log.exists() and self.log.stat().st_size > MOST_LOG:
                self.log.replace(self.log.with_name(f"{self.log.name}.1"))
            handle = os.open(self.pid_file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(f"{self.name} runs already (process {self.pid()})") from None
            with self.log.open("ab") as log:
                try:
                    child = subprocess.Popen(
                        self.command, stdin=subprocess.DEVNULL, stdout=log,
                        stderr=subprocess.STDOUT, start_new_session=True, pass_fds=(handle,),
                        cwd=self.pid_file.parent, env={**os.environ, **self.environment},
                    )  # fmt: skip
                except OSError as error:
                    self.pid_file.unlink()
                    raise RunError(f"{self.name}: {self.command[0]}: {error.strerror}") from error
            os.ftruncate(handle, 0)
            os.write(handle, f"{child.pid}\n".encode())
        finally:
            os.close(handle)
        self._reap()
        _children[self.pid_file] = child
        return child

    def _reap(self) -> None:
        """Let go of a former one that this process has started; it has ended."""
        child = _children.pop(self.pid_file, None)
        if child is not None:
            child.wait(PATIENCE)

    def pid(self) -> int | None:
        """Its number; None where there is no file of it."""
        try:
            return int(self.pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def runs(self) -> bool:
        """Whether it is there."""
        try:
            handle = os.open(self.pid_file, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    @property
    def died(self) -> bool:
        """Whether it has ended without being asked to, so that its file is still there."""
        return self.pid_file.exists() and not self.runs()

    def stop(self, patience: float = PATIENCE) -> bool:
        """Ask it to end, end it after so many seconds, with its children; whether it was there."""
        pid, was_there = self.pid(), self.runs()
        if was_there and pid is not None:
            os.kill(pid, signal.SIGTERM)
            until = time.monotonic() + patience
            while self.runs() and time.monotonic() < until:
                time.sleep(0.05)
            with suppress(ProcessLookupError):  # it may have left nothing behind
                os.killpg(pid, signal.SIGKILL)
        self._reap()
        self.pid_file.unlink(missing_ok=True)
        return was_there

    def tail(self, lines: int, start: int = 0) -> str:
        """The last lines of its log, of those from byte `start` on."""
        try:
            with self.log.open("rb") as file:
                file.seek(start)
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def logged(self) -> int:
        """Bytes of its log so far."""
        return self.log.stat().st_size if self.log.exists() else 0


def wait_until(there: Callable[[], bool], child: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for something that a process does; False where it dies or takes too long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if there():
            return True
        if child.poll() is not None:
            return False
        time.sleep(0.1)
    return False


@contextmanager
def stopped_at_the_end(stop: Callable[[], object]) -> Iterator[None]:
    """Stop what was started when this process ends, also when it is told to by SIGTERM."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        stop()
        signal.signal(signal.SIGTERM, before)
