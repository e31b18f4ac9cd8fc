"""Starting a study at a SuperLink, following it to its end, starting it again where it was lost."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from fairfed.config import Config
from fairfed.engines.flower_cli import RunStatus, SuperLink, SuperLinkError
from fairfed.errors import RunError
from fairfed.rounds.progress import Watcher
from fairfed.rounds.progress_file import BEGAN, ENDED, FAILED, PROGRESS, SAID, replay
from fairfed.rounds.run_lock import is_busy
from semantic.errors import InputError

logger = logging.getLogger("fairfed")

LOOK = 1.0
"""Seconds between two looks at the run's directory."""
ASK = 60.0
"""Seconds between two questions to the SuperLink, which take seconds of a processor."""
ASK_AT_END = 3.0
"""The same, once the run's process has said that nothing more comes."""
PATIENCE = 600.0
"""Seconds for which a SuperLink may not answer."""
MAX_LOST = 3
"""Times that a run is started again that was lost before a further round was done."""

GOES_ON = (
    "run {run} goes on at the SuperLink: the same command follows it, `flwr stop {run}` ends it"
)
STOPPED = "run {run} was stopped at the SuperLink; the same command goes on where it was"
LOST = (
    "the run was lost {count} times without a further round (last: {details}); the log of the "
    "SuperLink's SuperExec says why"
)


def follow(config: Config, on: str, watcher: Watcher) -> None:
    """Run a study at a SuperLink to its end, from wherever it is.

    The run goes on if this process ends, and the same call follows it again. The study's directory
    on the SuperLink's machine has its `config.toml`. Raises `InputError` or `RunError`: what ended
    the run, as the server's process said it; or the SuperLink refuses.
    """
    link, folder, lost = SuperLink(on), config.run_directory, 0
    run = _under_way(folder)
    while True:
        if run is None:
            (folder / PROGRESS).unlink(missing_ok=True)  # a former run's
            run = link.start(folder / "config.toml")
            logger.info("run %d started", run)
        events = _Events(folder / PROGRESS, watcher)
        try:
            status = _until_it_ends(link, run, events)
        except KeyboardInterrupt:
            logger.warning(GOES_ON.format(run=run))
            raise
        if status.state == "finished:completed":
            return
        if events.failure is not None:
            text, code = events.failure
            raise InputError(text) if code == 2 else RunError(text)
        if status.state == "finished:stopped":
            raise RunError(STOPPED.format(run=run))
        lost = 0 if events.rounds else lost + 1
        if lost == MAX_LOST:
            raise RunError(LOST.format(count=lost, details=status.details or status.state))
        logger.warning("the run was lost (%s); started again", status.details or status.state)
        run = None


def _under_way(folder: Path) -> int | None:
    """The run that a process is at work on in a directory."""
    if not is_busy(folder):
        return None
    with contextlib.suppress(OSError, ValueError, IndexError):
        first = (folder / PROGRESS).read_text(encoding="utf-8").splitlines()[0]
        event, run, *_ = json.loads(first)
        return int(run) if event == BEGAN else None
    return None


def _until_it_ends(link: SuperLink, run: int, events: _Events) -> RunStatus:
    """Look until the SuperLink says that a run has ended; how it did."""
    asked = answered = time.monotonic()
    while True:
        events.read()
        if time.monotonic() - asked >= (ASK_AT_END if events.ended else ASK):
            asked = time.monotonic()
            try:
                status = link.status(run)
                answered = asked
            except SuperLinkError as error:
                if asked - answered >= PATIENCE:
                    raise
                logger.warning("%s; asked again", error)
            else:
                if status.ended:
                    events.read()
                    return status
        time.sleep(LOOK)


class _Events:
    """The lines of a run's progress, each read once."""

    def __init__(self, path: Path, watcher: Watcher) -> None:
        self._path, self._watcher, self._read = path, watcher, 0
        self.rounds, self.ended = 0, False
        self.failure: tuple[str, int] | None = None

    def read(self) -> None:
        """Tell the watcher what is new."""
        for line in self._lines():
            event, told = replay(line, self._watcher)
            if event == SAID:
                logger.log(logging.getLevelNamesMapping()[told[0]], "%s", told[1])
            elif event == FAILED:
                self.failure = told[0], told[1]
            self.ended = event == ENDED
            self.rounds += event == "trained_round"

    def _lines(self) -> Iterator[str]:
        """Whole lines that have come."""
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                yield line.decode()
