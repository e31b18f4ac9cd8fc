"""The run directory: the only output of a run, written so that an interruption loses nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evaluation.files import json_lines, write_json, write_text, write_whole
from fairfed.config import Arm, Config, FederationConfig, TableConfig
from fairfed.rounds import checkpoint
from fairfed.rounds.round_log import lines_to_keep
from fairfed.rounds.run_lock import CONFIG, check_folder
from semantic.errors import InputError

DATA = "data.json"
"""What the run's data were, as a one-way hash; see `fairfed.data.fingerprint`."""
COLUMNS = "columns.json"
"""How a table's columns were fitted."""
NO_ARM = "{run}: no arm {name!r}; there are: {known}"
OTHER_DATA = (
    "{path}: the data of this run have changed since it began: {source} does not hold the rows, "
    "labels, groups or parts that it held. Bring them back, start over with --fresh, or give this "
    "run another 'name' or 'out'"
)


def costs(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds of rounds, and megabytes to and from all clients."""
    moved = [c["bytes_down"] + c["bytes_up"] for row in rows for c in row["clients"]]
    return {"seconds": sum(row["seconds"] for row in rows), "mb": sum(moved) / 1e6}


def arm_of(run: Path, config: Config, name: str) -> Arm:
    """An arm of a finished run by its name.

    Raises
    ------
    InputError
        If there is none.
    """
    found = next((arm for arm in config.arms if arm.name == name), None)
    if found is None:
        known = ", ".join(arm.name for arm in config.arms)
        raise InputError(NO_ARM.format(run=run, name=name, known=known))
    return found


def with_columns(told: FederationConfig, run: Path) -> FederationConfig:
    """A study with the columns that its run has fitted, if it is of a table."""
    path = run / COLUMNS
    if not path.is_file():
        return told
    table = TableConfig.model_validate_json(path.read_text(encoding="utf-8"))
    return told.model_copy(update={"table": table})


class RunDirectory:
    """A run's own directory, opened to begin the run or to continue it."""

    def __init__(self, config: Config) -> None:
        self.path = config.run_directory
        self.config = config
        check_folder(config)
        write_text(self.path / CONFIG, config.to_toml())
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

    def truncate_log_to_checkpoint(self, finished: dict[str, int]) -> None:
        """Drop logged rounds that no checkpoint vouches for; they will be run again.

        `finished` is, for each arm, the round of its checkpoint (0 without one). Nothing is changed
        where the log lacks a round that a checkpoint is past. Raises `InputError` if the log is
        damaged; see `fairfed.rounds.round_log.lines_to_keep`.
        """
        kept = lines_to_keep(self._log, finished, lambda name: self.checkpoint(Arm(name=name)))
        if self._log.is_file():
            write_whole(self._log, kept)

    def keep_data(self, source: str, fingerprint: str) -> None:
        """Note what the run's data are; a run from before this was noted goes on with any.

        Raises `InputError`, which calls the data `source`, if the run began with others
        (`fairfed.data.fingerprint`).
        """
        kept = self.read_json(DATA)
        if kept is None:
            self.write_json(DATA, {"source": source, "sha256": fingerprint})
        elif kept["sha256"] != fingerprint:
            raise InputError(OTHER_DATA.format(path=self.path, source=source))

    def logger(
        self, arm: Arm, then: Callable[[Arm, dict[str, Any]], None]
    ) -> Callable[[dict[str, Any]], None]:
        """What takes an arm's rounds: logs each, then hands it on."""

        def log(row: dict[str, Any]) -> None:
            self.log_round(arm, row)
            then(arm, row)

        return log

    def rounds(self) -> list[dict[str, Any]]:
        """The rounds of `rounds.jsonl`, in the order logged; none where there is no log yet."""
        if not self._log.is_file():
            return []
        return [json.loads(line) for line in json_lines(self._log.read_text(encoding="utf-8"))]

    def rounds_by_arm(self) -> dict[str, list[dict[str, Any]]]:
        """The rounds of `rounds.jsonl` by the arm (method, variant) that they are of."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.rounds():
            found.setdefault(row["arm"], []).append(row)
        return found

    def log_round(self, arm: Arm, row: dict[str, Any]) -> None:
        """Append one round of an arm to `rounds.jsonl`."""
        line = json.dumps({"arm": arm.name, **row}, ensure_ascii=False, allow_nan=False)
        with self._log.open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")
            handle.flush()
            os.fsync(handle.fileno())
