"""What a run can be: each system is a module, and a section of the configuration asks for it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from fairfed.config import Config
from fairfed.sites.simulated import SimulatedSites, in_this_process
from fairfed.sites.study import Study, study_of

if TYPE_CHECKING:
    from flwr.serverapp import Grid

    from fairfed.rounds.progress import Watcher
    from fairfed.rounds.run_directory import RunDirectory

CLASSIFIER = "fairfed.systems.classifier.experiment"
SYSTEMS = {
    "zsl": "fairfed.systems.zsl.task",
    "peers": "fairfed.systems.peers.task",
    "specialise": "fairfed.systems.specialise.task",
    "shared": "fairfed.systems.shared_space.task",
}
"""Module by the section that asks for it; without any, the arms are compared."""


class System(Protocol):
    """What the server asks of a system."""

    SITES: type[SimulatedSites]
    """How its simulations cut one data set into sites."""

    def check(self, study: Study) -> None:
        """Find a user's mistakes before anything is written or trained."""

    def run(self, grid: Grid, study: Study, watcher: Watcher) -> RunDirectory:
        """Run or continue."""


def kind_of(config: Config) -> str | None:
    """The section that asks for a system; None for a comparison of arms."""
    return next((name for name in SYSTEMS if getattr(config, name) is not None), None)


def system_of(config: Config) -> System:
    """The system that a configuration asks for."""
    kind = kind_of(config)
    return cast("System", import_module(CLASSIFIER if kind is None else SYSTEMS[kind]))


def simulation_of(config: Config) -> SimulatedSites:
    """The sites that a configuration's data are cut into, once in a process."""
    return in_this_process(system_of(config).SITES, config)


def simulated_study(config: Config) -> Study:
    """The study of a simulation."""
    return study_of(config, simulation_of(config))
