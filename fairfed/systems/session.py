"""A run under way at its server: who takes part, what they are told, where it is written.

What the servers of several systems have in common stands here, too.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from flwr.app import ArrayRecord, ConfigRecordValues, RecordDict
from flwr.serverapp import Grid

from evaluation.results import ClientValues
from fairfed.config import Arm, Config
from fairfed.rounds.arm_server import ArmServer, Plan, RoundResult, Row
from fairfed.rounds.arrays import Model, encode
from fairfed.rounds.clients import handshake, query
from fairfed.rounds.exchange import Client, Exchange, Steps
from fairfed.rounds.loop import run_rounds
from fairfed.rounds.progress import TIMEOUT, Watcher
from fairfed.rounds.remote import RemoteSites
from fairfed.rounds.replies import accepted_models, accepted_numbers, as_row
from fairfed.rounds.run_directory import RunDirectory
from fairfed.sites.study import Study
from fairfed.strategies.aggregate import weighted_mean


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


@dataclass(frozen=True)
class Variant:
    """One of the ways that a run of a system compares."""

    key: str  # its name in the configuration
    title: str  # its name in tables

    @property
    def arm(self) -> Arm:
        """What names the variant's checkpoint and rounds in a run directory."""
        return Arm(name=self.title)


OneVariant = TypeVar("OneVariant", bound=Variant)


def by_key(*variants: OneVariant) -> dict[str, OneVariant]:
    """Variants by their names in the configuration."""
    return {variant.key: variant for variant in variants}


def of_slug(slug: str, variants: Iterable[OneVariant]) -> OneVariant:
    """The variant that a message is about."""
    return next(variant for variant in variants if variant.arm.slug == slug)


def clients_at_the_end(
    logged: Mapping[str, Sequence[dict[str, Any]]], names: Mapping[int, str], title: str
) -> ClientValues:
    """Every client's accuracy in the last round, by variant, from the rounds that were logged."""
    values: dict[str, dict[str, float | None]] = {}
    tested: dict[str, int] = {}
    for variant, lines in logged.items():
        for row in lines[-1]["clients"]:
            if row.get("test_counts") is None:
                continue
            name = names.get(row["client"], str(row["client"]))
            counts = np.sum(row["test_counts"], axis=0)
            if total := int(counts.sum()):
                tested[name] = total
                values.setdefault(variant, {})[name] = float(np.trace(counts)) / total
    return ClientValues(title, values, rows=tested)


class AveragingServer(ArmServer):
    """Clients that are drawn train, the server averages their models, and the mean is judged.

    Every message tells a client what is in `request`, and the round.
    """

    action: ClassVar[str]
    """What the clients' training is of."""
    reported: ClassVar[tuple[str, ...]]
    """What a client says of its training beside the weights."""

    def __init__(
        self,
        clients: Sequence[Client],
        plan: Plan,
        start: Model,
        request: Mapping[str, str | float],
    ) -> None:
        self._everyone = [client.index for client in clients]
        self._plan, self._start, self._request = plan, start, request

    @abstractmethod
    def shares(self, numbers: Sequence[Mapping[str, float]]) -> list[float]:
        """Shares of the models in the mean, by what their clients reported; none: no mean."""

    @abstractmethod
    def judge(self, number: int, model: Model, rows: dict[int, Row]) -> Steps[dict[str, Any]]:
        """Judge the model after a round: entries for the log; rows of clients may grow."""

    def start(self) -> Model:
        """The model before the first round."""
        return self._start

    def round(self, number: int, model: Model) -> Steps[RoundResult]:
        """Train, average, and have the mean judged."""
        config = {**self._request, "round": number}
        drawn = self._plan.draw(self._everyone, number)
        answers = yield Exchange.alike(f"train.{self.action}", drawn, config, encode(model))
        numbers = accepted_numbers(answers, self.reported)
        models = accepted_models(answers, model)
        rows: dict[int, Row] = {client: as_row(said) for client, said in numbers.items()}
        shares = self.shares([numbers[client] for client in models])
        mean = weighted_mean(list(models.values()), shares) if shares else None
        entries = yield from self.judge(number, model if mean is None else mean, rows)
        return RoundResult(mean, rows, entries)
