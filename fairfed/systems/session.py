"""A run under way at its server: who takes part, what they are told, where it is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flwr.app import ArrayRecord, ConfigRecordValues, RecordDict
from flwr.serverapp import Grid

from fairfed.config import Arm, Config
from fairfed.rounds.arm_server import ArmServer, Plan
from fairfed.rounds.arrays import Model
from fairfed.rounds.clients import handshake, query
from fairfed.rounds.exchange import Client
from fairfed.rounds.loop import run_rounds
from fairfed.rounds.progress import TIMEOUT, Watcher
from fairfed.rounds.remote import RemoteSites
from fairfed.rounds.run_directory import RunDirectory
from fairfed.sites.study import Study


@dataclass(frozen=True)
class Session:
    """What every system's server works with.

    Attributes
    ----------
    grid, clients
        How to reach whom.
    study
        What the clients are told.
    run
        The directory of the run.
    watcher
        Is told about the progress.
    """

    grid: Grid
    clients: Sequence[Client]
    study: Study
    run: RunDirectory
    watcher: Watcher

    @property
    def config(self) -> Config:
        """The run's configuration."""
        return self.study.config

    def query(
        self,
        action: str,
        request: Mapping[str, ConfigRecordValues],
        timeout: float = TIMEOUT,
        arrays: ArrayRecord | None = None,
    ) -> dict[int, RecordDict]:
        """Ask every client; any failure ends the run. See `fairfed.rounds.clients.query`."""
        return query(self.grid, self.clients, action, request, timeout, arrays)

    def query_present(
        self,
        action: str,
        request: Mapping[str, ConfigRecordValues],
        timeout: float = TIMEOUT,
        whom: Collection[int] | None = None,
    ) -> dict[int, RecordDict]:
        """Ask every client, or those of `whom`; of real sites over a network some may be away."""
        needed = None
        if isinstance(self.grid, RemoteSites):
            needed = self.study.clients if whom is None else 0
        asked = [client for client in self.clients if whom is None or client.index in whom]
        return query(self.grid, asked, action, request, timeout, needed=needed)

    def train(
        self,
        arm: Arm,
        server: ArmServer,
        plan: Plan,
        log: Callable[[dict[str, Any]], None] | None = None,
    ) -> Model:
        """Run an arm from its checkpoint, or from the start, to its last round."""
        log = log or self.run.logger(arm, self.watcher.trained_round)
        path = self.run.checkpoint(arm)
        return run_rounds(self.grid, self.clients, server, plan, log, path)


def begin(grid: Grid, study: Study, watcher: Watcher, arms: Sequence[Arm]) -> Session:
    """Open a run's directory, to begin it or to go on, and meet the clients.

    Raises
    ------
    semantic.errors.InputError
        If the directory belongs to another run, the data have changed since it began, or its log
        is damaged.
    fairfed.errors.RunError
        If a client does not answer.
    """
    run = RunDirectory(study.config)
    if study.simulation is not None:  # a real site compares its own data, at home
        run.keep_data(study.simulation.source, study.simulation.fingerprint())
    run.truncate_log_to_checkpoint({arm.name: run.finished(arm) for arm in arms})
    if isinstance(grid, RemoteSites):
        former = run.read_json("federation.json") or {}
        clients = grid.meet(study.config.sites or former.get("clients", ()))
    else:
        clients = handshake(grid, study.clients, TIMEOUT)
    return Session(grid, clients, study, run, watcher)
