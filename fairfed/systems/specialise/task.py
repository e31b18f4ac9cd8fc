"""A run of domain specialisation, from its configuration to a LoRA file.

`check` and `run` are those of a `fairfed.system.System`, which says what they raise.
"""

from __future__ import annotations

from flwr.serverapp import Grid

from evaluation.files import write_whole
from fairfed.config import Arm
from fairfed.rounds.arm_server import Plan
from fairfed.rounds.progress import AUGMENT_TIMEOUT, Watcher
from fairfed.rounds.run_directory import RunDirectory
from fairfed.sites.simulated import SimulatedSites
from fairfed.sites.study import Study, refuse_arms
from fairfed.systems.session import begin
from fairfed.systems.specialise.arm_server import SpecialisingServer
from fairfed.systems.specialise.client import captions, specialiser
from fairfed.systems.specialise.results import LORA, save_results
from generators.specialise import lora_bytes

ARM = Arm(name="Specialise")
"""Names checkpoint and rounds in the run directory."""
SITES = SimulatedSites


def check(study: Study) -> None:
    """Find a user's mistakes before anything is written or trained."""
    refuse_arms(study.config, "specialise")
    place = study.place
    place.sight.check()
    specialiser(place)
    if study.simulation is not None:
        captions(place, study.simulation.images.table.images[:1])


def run(grid: Grid, study: Study, watcher: Watcher) -> RunDirectory:
    """Train, or continue; write the LoRA and what it gained."""
    config, place = study.config, study.place
    session = begin(grid, study, watcher, [ARM])
    directory, maker = session.run, specialiser(place)
    watcher.training(ARM, directory.finished(ARM) + 1, config.rounds)
    plan = Plan(config.rounds, config.seed, AUGMENT_TIMEOUT, config.fraction)
    start = {name: value.cpu().numpy() for name, value in maker.start.items()}
    request = {**study.request(), "weights": maker.identity}
    server = SpecialisingServer(session.clients, plan, start, request)
    trained = session.train(ARM, server, plan)
    write_whole(directory.path / LORA, lora_bytes(trained))
    parameters = sum(int(value.size) for value in trained.values())
    save_results(directory, server.losses, parameters)
    return directory
