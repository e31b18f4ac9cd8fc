"""What a run can be: its systems (`fairfed.config.systems`), and those of a user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from fairfed.config import Config
from fairfed.config.systems import CLASSIFIER, SYSTEMS
from fairfed.sites.simulated import SimulatedSites, in_this_process
from fairfed.sites.study import Study, study_of
from fairfed.systems.own import own_system

if TYPE_CHECKING:
    from flwr.app import Message
    from flwr.serverapp import Grid

    from fairfed.rounds.progress import Watcher
    from fairfed.rounds.run_directory import RunDirectory
    from fairfed.sites.request import Request


class System(Protocol):
    """What the server asks of a system."""

    SITES: type[SimulatedSites]
    """How its simulations cut one data set into sites."""

    def check(self, study: Study) -> None:
        """Find a user's mistakes before anything is written or trained.

        Raises
        ------
        semantic.errors.InputError, evaluation.errors.InputError
            If data, models or settings are not as they should be, or the system needs the data of
            all sites and they are real.
        """

    def run(self, grid: Grid, study: Study, watcher: Watcher) -> RunDirectory:
        """Run or continue; write what was found, and return the directory.

        Raises
        ------
        semantic.errors.InputError
            If the directory belongs to another run, the data have changed since it began, its log
            is damaged, or this engine cannot continue it.
        fairfed.errors.RunError
            If no client answers any more.
        """


class OwnSystem(System, Protocol):
    """What a system of the user's own has besides."""

    handlers: Mapping[str, Callable[[Request], Message]]
    """What a site answers to `query.own`, `train.own` and `evaluate.own`, as far as it asks."""


def kind_of(config: Config) -> str | None:
    """The setting that asks for a system; None for a comparison of arms."""
    named = (*SYSTEMS, "system")
    return next((name for name in named if getattr(config, name) is not None), None)


def system_of(config: Config) -> System:
    """The system that a configuration asks for.

    Raises
    ------
    semantic.errors.InputError
        If it is one of the user's own that is not to be had.
    """
    if config.system is not None:
        return cast("System", own_system(config.system))
    kind = kind_of(config)
    return cast("System", import_module((SYSTEMS[kind] if kind else CLASSIFIER).module))


def simulation_of(config: Config) -> SimulatedSites:
    """The sites that a configuration's data are cut into, once in a process."""
    return in_this_process(system_of(config).SITES, config)


def simulated_study(config: Config) -> Study:
    """The study of a simulation."""
    return study_of(config, simulation_of(config))
