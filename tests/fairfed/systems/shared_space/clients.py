"""Clients of a shared space, without a run."""

from __future__ import annotations

import numpy as np

from fairfed.config import Config
from fairfed.sites.simulated import simulated
from fairfed.system import simulation_of
from fairfed.systems.shared_space.sites import Partition, SharedSite, SharedSites
from tests.fairfed.runs import place_of


def sites_of(config: Config) -> SharedSites:
    """All clients."""
    return simulated(simulation_of(config), SharedSites, "a test")


def site_of(config: Config, client: int) -> SharedSite:
    """A client, with its rows alone."""
    return sites_of(config).held(client, place_of(config))


def everything(config: Config) -> SharedSite:
    """One who holds every row, as image and caption."""
    table = sites_of(config).table
    rows = np.arange(len(table))
    own = Partition("both", tuple(range(len(table.classes))), rows, rows[:0], rows[:0])
    return SharedSite(-1, own, table, place_of(config))
