"""The directory of a run that compares no arms: its results, and what its rounds cost."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.audit.tally import CROSSED
from evaluation.errors import InputError
from evaluation.records import Arm, Round, Run, Split
from evaluation.results import (
    FILE,
    NOT_YET,
    Results,
    clients_called,
    read_results,
    system_of,
)
from evaluation.run import read_rounds

UNDER_WAY = "The run is under way: its results come when it ends."
NO_COUNTS = "{path}: no client has reported counts of its test rows"


@dataclass(frozen=True)
class ResultsRun:
    """A run of one system; `results` is None while it is under way.

    Finished rounds are by method, names of the clients as far as the run tells them.
    """

    path: Path
    name: str
    seed: int
    system: str
    rounds: int
    results: Results | None
    history: Mapping[str, tuple[Round, ...]]
    clients: Mapping[int, str]
    config_text: str
    notes: tuple[str, ...] = ()

    @property
    def found(self) -> Results:
        """The results; an error if the run has not ended."""
        if self.results is None:
            raise InputError(NOT_YET.format(path=self.path))
        return self.results

    def client_name(self, client: int) -> str:
        """What a client is called: by its name where it has one, else by its number."""
        return self.clients.get(client, str(client))


def read_results_run(run_dir: Path) -> ResultsRun:
    """Read the directory of a run with results of its own, finished or under way."""
    run_dir = Path(run_dir)
    system = system_of(run_dir)
    if system is None:
        raise InputError(f"{run_dir}: is no run of a system with results of its own")
    text = (run_dir / "config.toml").read_text(encoding="utf-8")
    config = tomllib.loads(text)
    results = read_results(run_dir) if (run_dir / FILE).is_file() else None
    counted = results.counts if results else None
    cells = (len(counted.classes), len(counted.groups)) if counted else None
    history, notes = read_rounds(run_dir / "rounds.jsonl", None, cells)
    entries = [e for rounds in history.values() for line in rounds for e in line.clients]
    named = {e.client: e.name for e in entries if e.name is not None}
    return ResultsRun(
        path=run_dir,
        name=results.name if results else str(config.get("name", run_dir.name)),
        seed=int(config.get("seed", 0)),
        system=system,
        rounds=int(config.get("rounds", max(map(len, history.values()), default=0))),
        results=results,
        history=history,
        clients={**named, **clients_called(run_dir, ())},
        config_text=text,
        notes=(*notes, *(() if results else (UNDER_WAY,))),
    )


def counted_run(run: ResultsRun) -> Run:
    """The same as a run of arms, one for each method, so that its test counts can be audited.

    What clients hold is not known of it: its split has the test rows of the last counts alone.
    """
    counted = run.found.counts
    entries = [e for rounds in run.history.values() for line in rounds for e in line.clients]
    last = {e.client: e.test_counts for e in entries if e.test_counts is not None}
    if not last or counted is None:
        raise InputError(NO_COUNTS.format(path=run.path))
    shape = max(e.client for e in entries) + 1, len(counted.classes), len(counted.groups)
    test = np.zeros(shape, np.int64)
    for client, counts in last.items():
        test[client] = counts.sum(axis=2).T
    arms = tuple(Arm(name, "fedavg", "main") for name in run.history)
    return Run(
        path=run.path,
        name=run.name,
        seed=run.seed,
        classes=counted.classes,
        groups=counted.groups,
        sensitive=CROSSED.join(counted.sensitive) or None,
        rounds=max(map(len, run.history.values())),
        engine="",
        versions={},
        arms=arms,
        splits={"main": Split(np.zeros(shape, np.int64), test, "main")},
        history=run.history,
        config_text=run.config_text,
        clients=tuple(run.client_name(client) for client in range(shape[0])),
    )
