"""The run directory: the only output of a run, written so that an interruption loses nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairfed import checkpoint
from fairfed.config import Arm, Config
from fairfed.files import json_lines, write_whole
from semantic.errors import InputError


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_whole(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all."""
    write_text(path, json.dumps(content, ensure_ascii=False) + "\n")


class RunDirectory:
    """A run's directory, opened to begin the run or to continue it.

    Parameters
    ----------
    config
        The run's configuration; it names the directory.

    Raises
    ------
    InputError
        If the directory holds another run, or files that are none.
    """

    def __init__(self, config: Config) -> None:
        self.path = config.run_directory
        self.config = config
        stored = self.path / "config.toml"
        if stored.is_file():
            if stored.read_text(encoding="utf-8") != config.to_toml():
                raise InputError(
                    f"{self.path} holds a run with another configuration (see its config.toml); "
                    "give this run another 'name' or 'out', or start over with --fresh"
                )
        elif self.path.is_dir() and any(self.path.iterdir()):
            raise InputError(
                f"{self.path} is not empty and holds no run; give another 'out', or empty it"
            )
        write_text(stored, config.to_toml())
        self._log = self.path / "rounds.jsonl"

    def checkpoint(self, arm: Arm) -> Path:
        """File of an arm's checkpoint."""
        return self.path / "checkpoints" / f"{arm.slug}.npz"

    def finished(self, arm: Arm) -> int:
        """Round of an arm's checkpoint, 0 without one."""
        path = self.checkpoint(arm)
        return checkpoint.load(path).round if path.is_file() else 0

    def write_json(self, name: str, content: Any) -> None:
        """Write one JSON file of the run."""
        write_json(self.path / name, content)

    def read_json(self, name: str) -> Any:
        """Read one JSON file of the run, or None where there is none."""
        path = self.path / name
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def keep_rounds(self, finished: dict[str, int]) -> None:
        """Drop logged rounds that no checkpoint vouches for; they will be run again.

        Parameters
        ----------
        finished
            For each arm, the round of its checkpoint (0 without one).
        """
        if not self._log.is_file():
            return
        kept = []
        for line in json_lines(self._log.read_text(encoding="utf-8")):
            try:
                row = json.loads(line)
            except ValueError:  # the line that a killed process was writing
                continue
            if row["round"] <= finished.get(row["arm"], 0):
                kept.append(line + "\n")
        write_text(self._log, "".join(kept))

    def logger(
        self, arm: Arm, then: Callable[[Arm, dict[str, Any]], None]
    ) -> Callable[[dict[str, Any]], None]:
        """What takes an arm's rounds: logs each, then hands it on."""

        def log(row: dict[str, Any]) -> None:
            self.log_round(arm, row)
            then(arm, row)

        return log

    def log_round(self, arm: Arm, row: dict[str, Any]) -> None:
        """Append one round of an arm to `rounds.jsonl`."""
        line = json.dumps({"arm": arm.name, **row}, ensure_ascii=False, allow_nan=False)
        with self._log.open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")
            handle.flush()
            os.fsync(handle.fileno())
