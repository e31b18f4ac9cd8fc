"""A run at its server: what was asked for, what sites are told, and the server's own machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from fairfed.config import Arm, Config, FederationConfig
from fairfed.config.federation import agreed
from fairfed.sites.model_sources import sources_of
from fairfed.sites.request import STUDY
from fairfed.sites.simulated import SimulatedSites, attribute_rows, fingerprints, simulated
from fairfed.sites.workplace import Workplace
from semantic.errors import InputError

HAS_ARMS = "arms: a run with [{section}] has no arms; leave [[arms]] out, or [{section}]"
SERVER = 2**31 - 1
"""Stands for the server among real sites, whose number it need not know."""


@dataclass(frozen=True)
class Study:
    """What the server of a run goes by."""

    config: Config  # the run's configuration: its directory, and the server's own models
    told: FederationConfig  # what the sites are told
    # The sites, where this process has cut them from one data set.
    simulation: SimulatedSites | None = None

    @property
    def clients(self) -> int:
        """How many clients must be there before a run begins."""
        if self.simulation is not None:
            return len(self.simulation.names)
        return self.config.min_sites

    @property
    def server(self) -> int:
        """The server as an owner of images and draws: the client after the last one."""
        return len(self.simulation.names) if self.simulation is not None else SERVER

    @cached_property
    def place(self) -> Workplace:
        """The server's models."""
        if self.simulation is not None:
            return self.simulation.place(self.told)
        return Workplace(self.told, sources_of(self.config))

    def simulated(self, what: str) -> SimulatedSites:
        """The simulation that something needs; `InputError` if the sites are real."""
        return simulated(self.simulation, SimulatedSites, what)

    def with_told(self, told: FederationConfig) -> Study:
        """The same, with more to tell."""
        return replace(self, told=told)

    def request(self, arm: Arm | None = None) -> dict[str, Any]:
        """What every message tells a client."""
        asked: dict[str, Any] = {STUDY: self.text, "round": 0}
        return asked if arm is None else {**asked, "arm": arm.slug}

    @cached_property
    def text(self) -> str:
        """The study as messages carry it."""
        return self.told.to_json()


def refuse_arms(config: Config, section: str) -> None:
    """Refuse arms beside a section whose run has none; `InputError` if `[[arms]]` says anything."""
    if config.arms != Config().arms:
        raise InputError(HAS_ARMS.format(section=section))


def study_of(config: Config, simulation: SimulatedSites | None) -> Study:
    """The study of a run's configuration, over a simulation or over real sites."""
    if simulation is not None:
        return Study(config, simulation.study, simulation)
    if config.federation is None:
        raise InputError("federation: missing; sites with data of their own need [federation]")
    return Study(
        config, agreed(config, config.federation, attribute_rows(config), fingerprints(config))
    )
