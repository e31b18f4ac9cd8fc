"""A run of federated zero-shot learning, from its configuration to its results.

`check` and `run` are those of a `fairfed.system.System`, which says what they raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairfed.config import PartitionConfig
from fairfed.config.base import required
from fairfed.rounds.run_directory import RunDirectory
from fairfed.sites.simulated import simulated
from fairfed.sites.study import Study, refuse_arms
from fairfed.systems.session import begin
from fairfed.systems.zsl.images import synthesiser
from fairfed.systems.zsl.results import save_results
from fairfed.systems.zsl.running import Run, generate_variant, train_variant
from fairfed.systems.zsl.sites import ZslSites
from fairfed.systems.zsl.variants import variants_of
from semantic.errors import InputError

if TYPE_CHECKING:
    from flwr.serverapp import Grid

    from fairfed.rounds.progress import Watcher

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
