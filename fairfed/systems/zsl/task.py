"""A run of federated zero-shot learning, from its configuration to its results.

`check` and `run` are those of a `fairfed.system.System`, which says what they raise. In a round
clients train, generators are averaged, and one round's is selected: the mean counts every client
the same, and what is measured is the server's classifier on validation classes. Selected is the
round with the largest harmonic mean H on validation rows, the earliest of equals; the test is never
looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from flwr.app import ArrayRecord
from flwr.serverapp import Grid

from fairfed.config import Config, PartitionConfig
from fairfed.config.base import required
from fairfed.draws import generator_of
from fairfed.rounds import checkpoint
from fairfed.rounds.arm_server import Plan, Row
from fairfed.rounds.arrays import Model, decode
from fairfed.rounds.exchange import Client, Steps
from fairfed.rounds.progress import TIMEOUT, Watcher
from fairfed.rounds.run_directory import RunDirectory
from fairfed.sites.simulated import simulated
from fairfed.sites.study import Study, refuse_arms
from fairfed.systems.session import AveragingServer, Session, begin
from fairfed.systems.zsl.gan import (
    INITIAL,
    JUDGING,
    TESTING,
    Conditions,
    FeatureGenerator,
    initialise,
)
from fairfed.systems.zsl.images import embed_generated, synthesiser
from fairfed.systems.zsl.judge import Judge, Source, ZslScores, generated, stored
from fairfed.systems.zsl.results import save_results
from fairfed.systems.zsl.sites import ZslSites
from fairfed.systems.zsl.variants import Variant, variants_of
from semantic.errors import InputError

SITES = ZslSites
DIVIDED = (
    "partition: with [zsl] clients hold blocks of whole classes, so that partition.name and "
    "partition.options have no effect; leave partition.clients alone"
)


def check(study: Study) -> None:
    """Find a user's mistakes before anything is written or trained."""
    config = study.config
    refuse_arms(config, "zsl")
    if config.partition != PartitionConfig(clients=config.partition.clients):
        raise InputError(DIVIDED)
    divided = simulated(study.simulation, ZslSites, "[zsl]").split
    if any(not variant.federated for variant in variants_of(required(config.zsl))):
        synthesiser(study.place, divided)


def run(grid: Grid, study: Study, watcher: Watcher) -> RunDirectory:
    """Train every variant, or continue; test the selected generators; write the results."""
    config, sites = study.config, simulated(study.simulation, ZslSites, "[zsl]")
    chosen = variants_of(required(config.zsl))
    session = begin(grid, study, watcher, [variant.arm for variant in chosen])
    one, results = Run(session, sites), []
    for variant in chosen:
        rounds = config.rounds if variant.federated else 1
        watcher.training(variant.arm, session.run.finished(variant.arm) + 1, rounds)
        play = train_variant if variant.federated else generate_variant
        results.append(play(one, variant))
    save_results(session.run, sites.split, sites.features, results)
    return session.run


@dataclass(frozen=True)
class Run:
    """What all variants of a run share."""

    session: Session  # the run under way
    sites: ZslSites  # all rows, and who holds which

    @property
    def config(self) -> Config:
        """The run's configuration."""
        return self.session.config

    @cached_property
    def judge(self) -> Judge:
        """What scores the variants' features."""
        known = self.sites
        return Judge(known.features, known.split, required(self.config.zsl), known.scale)

    def validate(self, source: Source, number: int) -> ZslScores | None:
        """Scores after a round on validation classes; None without any."""
        return self.judge.validate(source, generator_of(JUDGING, self.config.seed, number))

    def results(
        self, variant: Variant, selected: int, validation: dict[str, float] | None, source: Source
    ) -> dict[str, Any]:
        """An entry of `results.json`: the test of what was selected."""
        test = self.judge.test(source, generator_of(TESTING, self.config.seed))
        return {
            "variant": variant.key,
            "name": variant.title,
            "round": selected,
            "validation": validation,
            "test": test.row(),
        }


def train_variant(run: Run, variant: Variant) -> dict[str, Any]:
    """Train a federated variant and test the selected generator; its results."""
    config, table, session = run.config, run.sites.features, run.session
    zsl = required(config.zsl)
    conditions = Conditions(table, variant, zsl.text_noise)

    def source(model: Model) -> Source:
        maker = FeatureGenerator(table, variant, zsl)
        maker.load_state_dict({name: torch.from_numpy(array) for name, array in model.items()})
        return generated(maker, conditions, zsl.per_class)

    plan = Plan(config.rounds, config.seed, TIMEOUT, config.fraction, variant.arm.slug)
    first = FeatureGenerator(table, variant, zsl)
    initialise(first, generator_of(INITIAL, config.seed))
    server = ZslServer(
        session.clients,
        plan,
        decode(ArrayRecord(first.state_dict())),
        session.study.request(variant.arm),
        lambda model, number: run.validate(source(model), number),
    )
    session.train(variant.arm, server, plan)
    return run.results(variant, server.best_round, server.best, source(server.best_arrays))


def generate_variant(run: Run, variant: Variant) -> dict[str, Any]:
    """Generate and embed images of every class, in one "round", and test them; the results."""
    path = run.session.run.checkpoint(variant.arm)
    if not path.is_file():
        _generate(run, variant)
    saved = checkpoint.load(path)
    return run.results(variant, 1, saved.state["best"], _embeddings(run, saved.arrays))


def _embeddings(run: Run, arrays: Any) -> Source:
    made, labels = (torch.from_numpy(arrays[name]) for name in ("features", "labels"))
    return stored(made * run.sites.scale, labels)


def _generate(run: Run, variant: Variant) -> None:
    """Make the images, embed and judge them, log that, and keep the embeddings as a checkpoint."""
    started, watcher = time.perf_counter(), run.session.watcher
    classes = run.sites.split.classes
    count = sum(map(len, (classes.trained, classes.validation, classes.unseen)))
    watcher.synthesising(count * required(run.config.zsl).images_per_class)
    found = embed_generated(run.session.study.place, run.sites.split)
    seconds = time.perf_counter() - started
    watcher.synthesised({"generated": found.made, "reused": found.reused, "seconds": seconds})
    arrays = {"features": found.features.numpy(), "labels": found.labels.numpy()}
    scores = run.validate(_embeddings(run, arrays), 1)
    row = None if scores is None else scores.row()
    images = {"generated": found.made, "reused": found.reused, "used": len(found.labels)}
    log = run.session.run.logger(variant.arm, watcher.trained_round)
    log({"round": 1, "seconds": seconds, "clients": [], "validation": row, "images": images})
    path = run.session.run.checkpoint(variant.arm)
    checkpoint.save(path, checkpoint.Checkpoint(1, arrays, {"best": row}))


class ZslServer(AveragingServer):
    """Averages the clients' generators, and remembers the best.

    `validate` gives the scores of a round's generator on validation classes; None without any.
    `best_round`, `best_arrays` and `best` are the selected round, its generator and its scores;
    without validation classes the last round, and no scores.
    """

    action = "zsl"
    reported = ("n-real", "loss-discriminator", "loss-generator", "seconds")

    def __init__(
        self,
        clients: Sequence[Client],
        plan: Plan,
        start: Model,
        request: Mapping[str, str | float],
        validate: Callable[[Model, int], ZslScores | None],
    ) -> None:
        super().__init__(clients, plan, start, request)
        self._validate = validate
        self.best_round, self.best_arrays = 0, start
        self.best: dict[str, float] | None = None

    def shares(self, numbers: Sequence[Mapping[str, float]]) -> list[float]:
        """Every client counts the same."""
        return [1 / len(numbers)] * len(numbers) if numbers else []

    def judge(self, number: int, model: Model, rows: dict[int, Row]) -> Steps[dict[str, Any]]:
        """Judge the round, and remember it if it is the best so far; nobody is asked."""
        yield from ()
        scores = self._validate(model, number)
        row = None if scores is None else scores.row()
        if row is None or self.best is None or row["H"] > self.best["H"]:
            self.best_round, self.best_arrays, self.best = number, model, row
        return {"validation": row}

    def state(self) -> dict[str, Any]:
        """The selected round and its scores."""
        return {"best_round": self.best_round, "best": self.best}

    def arrays(self) -> Model:
        """The selected generator."""
        return self.best_arrays

    def restore(self, state: Mapping[str, Any], arrays: Model) -> None:
        """Take back what was selected."""
        self.best_round, self.best, self.best_arrays = state["best_round"], state["best"], arrays
