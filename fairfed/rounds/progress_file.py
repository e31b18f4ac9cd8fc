"""How a run at a SuperLink goes on, in a file of its directory, for whoever follows it."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from fairfed.config import Arm
from fairfed.errors import RunError
from fairfed.rounds.progress import Watcher

PROGRESS = ".progress"
"""The file: a JSON object a line; begun anew by every process that runs the study."""
BEGAN, FAILED, SAID, ENDED = "began", "failed", "said", "ended"


class ProgressFile(logging.Handler):
    """Writes what a watcher is told, and what is logged, a line each, into the run's directory."""

    def __init__(self, folder: Path, run: int) -> None:
        super().__init__(logging.INFO)
        self._file = (folder / PROGRESS).open("w", encoding="utf-8")
        self._write(BEGAN, run, os.getpid())

    def _write(self, event: str, *told: Any) -> None:
        self._file.write(json.dumps([event, *told], ensure_ascii=False) + "\n")
        self._file.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write what is logged, without tracebacks."""
        self._write(SAID, record.levelname, record.getMessage())

    def close(self) -> None:
        """Say that nothing more comes."""
        self._write(ENDED)
        self._file.close()
        super().close()

    def failed(self, error: BaseException, code: int) -> None:
        """Write what ended the run, and the exit code that this means."""
        kind = "" if isinstance(error, RunError | ValueError) else f"{type(error).__name__}: "
        self._write(FAILED, f"{kind}{error}", code)

    def described(self, federation: dict[str, Any]) -> None:
        """Write what the clients hold."""
        self._write("described", federation)

    def synthesising(self, images: int) -> None:
        """Write that synthesis begins."""
        self._write("synthesising", images)

    def synthesised(self, synthetic: dict[str, Any]) -> None:
        """Write what was synthesised."""
        self._write("synthesised", synthetic)

    def training(self, arm: Arm, first: int, rounds: int) -> None:
        """Write that an arm begins."""
        self._write("training", arm.name, first, rounds)

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        """Write that a round is done."""
        self._write("trained_round", arm.name, {"round": row["round"]})


def replay(line: str, watcher: Watcher) -> tuple[str, list[Any]]:
    """Tell a watcher what a line says; returns the event and what belongs to it."""
    event, *told = json.loads(line)
    if event in {"training", "trained_round"}:
        name, *rest = told
        getattr(watcher, event)(Arm(name=name), *rest)
    elif event not in {BEGAN, FAILED, SAID, ENDED}:
        getattr(watcher, event)(*told)
    return event, told
