"""A run of domain specialisation, from its configuration to a LoRA file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.files import write_whole
from fairfed.adapting.outcome import LORA, write_outcome
from fairfed.config import Arm, Config
from fairfed.rundir import RunDirectory
from fairfed.tasks import refuse_arms
from semantic.errors import InputError

if TYPE_CHECKING:
    from flwr.serverapp import Grid

    from fairfed.progress import Watcher

NO_IMAGES = "data.source: {source!r} is a table, and [specialise] is of images; choose another"
ARM = Arm(name="Specialise")
"""Names checkpoint and rounds in the run directory."""


def check(config: Config) -> None:
    """Find a user's mistakes before anything is written or trained.

    Raises
    ------
    InputError
        If data, models or settings are not as they should be.
    """
    from fairfed import site
    from fairfed.adapting.client import captions, specialiser

    refuse_arms(config, "specialise")
    if config.data.tabular:
        raise InputError(NO_IMAGES.format(source=config.data.source))
    toml = config.to_toml()
    site.sight(toml).check()
    specialiser(toml)
    captions(toml, site.images(toml, False).table.images[:1])


def count_clients(config: Config) -> int:
    """Number of clients: those of the images' division."""
    from fairfed import site

    return len(site.federation(config.to_toml(), False).train)


def run(grid: Grid, config: Config, watcher: Watcher) -> RunDirectory:
    """Train, or continue; write the LoRA and what it gained.

    Raises
    ------
    InputError
        If the run directory belongs to another run.
    fairfed.errors.RunError
        If no client answers any more.
    """
    from fairfed.adapting.client import specialiser
    from fairfed.adapting.rounds import train_rounds
    from fairfed.engines.exchange import handshake
    from fairfed.fingerprint import know_again
    from fairfed.loops import Plan
    from fairfed.progress import AUGMENT_TIMEOUT, TIMEOUT
    from generators.specialise import lora_bytes

    directory, toml = RunDirectory(config), config.to_toml()
    know_again(directory)
    maker = specialiser(toml)
    done = directory.finished(ARM)
    log = directory.logger(ARM, watcher.trained_round)
    directory.keep_rounds({ARM.name: done})
    watcher.training(ARM, done + 1, config.rounds)
    plan = Plan(
        sites=handshake(grid, count_clients(config), TIMEOUT),
        request={"toml": toml, "weights": maker.identity},
        rounds=config.rounds,
        seed=config.seed,
        fraction=config.fraction,
        timeout=AUGMENT_TIMEOUT,
    )
    start = {name: value.cpu().numpy() for name, value in maker.start.items()}
    progress = train_rounds(grid, plan, start, directory.checkpoint(ARM), log)
    write_whole(directory.path / LORA, lora_bytes(progress.arrays))
    parameters = sum(int(value.size) for value in progress.arrays.values())
    write_outcome(directory, progress.losses, parameters)
    return directory
