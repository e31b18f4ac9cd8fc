"""One variant of a run, from its start or its checkpoint to its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
import torch
from flwr.app import ArrayRecord
from flwr.serverapp import Grid

from fairfed import checkpoint
from fairfed.config import Config
from fairfed.draws import generator_of
from fairfed.progress import TIMEOUT
from fairfed.rundir import RunDirectory
from fairfed.sites.study import Study
from fairfed.strategies.aggregate import Model, decode
from fairfed.zsl.classify import ZslScores
from fairfed.zsl.draws import INITIAL, JUDGING, TESTING
from fairfed.zsl.images import embed_generated
from fairfed.zsl.judge import Judge, Source, generated, stored
from fairfed.zsl.networks import Conditions, feature_generator, initialise
from fairfed.zsl.rounds import ZslPlan, train_rounds
from fairfed.zsl.sites import ZslSites
from fairfed.zsl.variants import Variant, settings

if TYPE_CHECKING:
    from fairfed.progress import Watcher

Log = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Run:
    """What all variants of a run share.

    Attributes
    ----------
    grid, directory, study
        Clients, run directory, and what clients are told.
    simulation
        All rows, and who holds which.
    sites
        Partition id by node id.
    """

    grid: Grid
    directory: RunDirectory
    study: Study
    simulation: ZslSites
    sites: dict[int, int]

    @property
    def config(self) -> Config:
        """The run's configuration."""
        return self.directory.config

    @cached_property
    def judge(self) -> Judge:
        """What scores the variants' features."""
        known = self.simulation
        return Judge(known.features, known.split, settings(self.config), known.scale)

    def validate(self, source: Source, number: int) -> ZslScores | None:
        """Scores after a round on validation classes; None without any."""
        return self.judge.validate(source, generator_of(JUDGING, self.config.seed, number))

    def outcome(
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


def train_variant(run: Run, variant: Variant, log: Log) -> dict[str, Any]:
    """Train a federated variant and test the selected generator; its outcome."""
    config, table = run.config, run.simulation.features
    zsl = settings(config)
    conditions = Conditions(table, variant, zsl.text_noise)

    def source(model: Model) -> Source:
        maker = feature_generator(table, variant, zsl)
        maker.load_state_dict({name: torch.from_numpy(array) for name, array in model.items()})
        return generated(maker, conditions, zsl.per_class)

    plan = ZslPlan(
        sites=run.sites,
        request=run.study.request(variant.arm),
        rounds=config.rounds,
        seed=config.seed,
        fraction=config.fraction,
        timeout=TIMEOUT,
        validate=lambda model, number: run.validate(source(model), number),
    )
    first = feature_generator(table, variant, zsl)
    initialise(first, generator_of(INITIAL, config.seed))
    start = decode(ArrayRecord(first.state_dict()))
    end = train_rounds(run.grid, plan, start, run.directory.checkpoint(variant.arm), log)
    return run.outcome(variant, end.best_round, end.best, source(end.best_arrays))


def generate_variant(run: Run, variant: Variant, log: Log, watcher: Watcher) -> dict[str, Any]:
    """Generate and embed images of every class, in one "round", and test them; the outcome."""
    path = run.directory.checkpoint(variant.arm)
    if not path.is_file():
        _generate(run, variant, log, watcher)
    saved = checkpoint.load(path)
    return run.outcome(variant, 1, saved.state["best"], _embeddings(run, saved.arrays))


def _embeddings(run: Run, arrays: Any) -> Source:
    made, labels = (torch.from_numpy(arrays[name]) for name in ("features", "labels"))
    return stored(made * run.simulation.scale, labels)


def _generate(run: Run, variant: Variant, log: Log, watcher: Watcher) -> None:
    """Make the images, embed and judge them, log that, and keep the embeddings as a checkpoint."""
    started = time.perf_counter()
    classes = run.simulation.split.classes
    count = sum(map(len, (classes.trained, classes.validation, classes.unseen)))
    watcher.synthesising(count * settings(run.config).images_per_class)
    found = embed_generated(run.study.place, run.simulation.split)
    seconds = time.perf_counter() - started
    watcher.synthesised({"generated": found.made, "reused": found.reused, "seconds": seconds})
    arrays = {"features": found.features.numpy(), "labels": found.labels.numpy()}
    scores = run.validate(_embeddings(run, arrays), 1)
    row = None if scores is None else scores.row()
    images = {"generated": found.made, "reused": found.reused, "used": len(found.labels)}
    log({"round": 1, "seconds": seconds, "clients": [], "validation": row, "images": images})
    path = run.directory.checkpoint(variant.arm)
    checkpoint.save(path, checkpoint.Checkpoint(1, arrays, {"best": row}))
