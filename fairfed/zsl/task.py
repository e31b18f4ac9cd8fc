"""A run of federated zero-shot learning, from its configuration to its results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairfed.config import Config, PartitionConfig
from fairfed.rundir import RunDirectory
from fairfed.tasks import refuse_arms
from fairfed.zsl.outcome import write_outcome
from fairfed.zsl.variants import settings, variants_of
from semantic.errors import InputError

if TYPE_CHECKING:
    from flwr.serverapp import Grid

    from fairfed.progress import Watcher

DIVIDED = (
    "partition: with [zsl] clients hold blocks of whole classes, so that partition.name and "
    "partition.options have no effect; leave partition.clients alone"
)


def check(config: Config) -> None:
    """Find a user's mistakes before anything is written or trained.

    Raises
    ------
    InputError
        If data, splits, models or settings are not as they should be.
    """
    from fairfed.zsl.data import features, split
    from fairfed.zsl.images import synthesiser

    refuse_arms(config, "zsl")
    if config.partition != PartitionConfig(clients=config.partition.clients):
        raise InputError(DIVIDED)
    toml = config.to_toml()
    table, divided = features(toml), split(toml)
    if any(not variant.federated for variant in variants_of(settings(config))):
        synthesiser(config, table, divided)


def count_clients(config: Config) -> int:
    """Number of clients: blocks of classes."""
    return config.partition.clients


def run(grid: Grid, config: Config, watcher: Watcher) -> RunDirectory:
    """Train every variant, or continue; test the selected generators; write the outcome.

    Raises
    ------
    InputError
        If the run directory belongs to another run.
    fairfed.errors.RunError
        If no client answers any more.
    """
    from fairfed.engines.exchange import handshake
    from fairfed.progress import TIMEOUT
    from fairfed.zsl.data import features, split
    from fairfed.zsl.running import Run, generate_variant, train_variant

    directory, toml = RunDirectory(config), config.to_toml()
    _know_again(directory)
    chosen = variants_of(settings(config))
    finished = {variant.title: directory.finished(variant.arm) for variant in chosen}
    directory.keep_rounds(finished)
    one = Run(grid, directory, toml, handshake(grid, count_clients(config), TIMEOUT))
    outcomes = []
    for variant in chosen:
        rounds = config.rounds if variant.federated else 1
        watcher.training(variant.arm, finished[variant.title] + 1, rounds)
        log = directory.logger(variant.arm, watcher.trained_round)
        if variant.federated:
            outcomes.append(train_variant(one, variant, log))
        else:
            outcomes.append(generate_variant(one, variant, log, watcher))
    write_outcome(directory, split(toml), features(toml), outcomes)
    return directory


def _know_again(directory: RunDirectory) -> None:
    """Refuse to continue with other data than the run began with.

    Embeddings differ in their last digits from machine to machine; where CLIP makes the features,
    labels and division are compared alone.
    """
    from fairfed.fingerprint import fingerprint
    from fairfed.zsl.data import features, split

    config, toml = directory.config, directory.config.to_toml()
    table, folder = features(toml), settings(config).features
    stored = [table.features, table.attributes] if folder is not None else []
    found = fingerprint(table.labels, table.test, table.classes, stored, split(toml))
    directory.keep_data(folder or config.data.source, found)
