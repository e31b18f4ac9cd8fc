"""A simulation of a shared space: clients with images of some classes, captions, or both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fairfed.config.base import required
from fairfed.data import ImageTable
from fairfed.data.federation import load_undivided
from fairfed.data.fingerprint import fingerprint
from fairfed.once import once
from fairfed.sites.request import Request
from fairfed.sites.simulated import SimulatedSites, simulated
from fairfed.sites.workplace import Workplace
from fairfed.systems.shared_space.classes import positions
from fairfed.systems.shared_space.partition import Partition, Rows, divide


@dataclass(frozen=True, eq=False)
class SharedSite:
    """One client."""

    index: int  # its position
    own: Partition  # what it has, as positions in `table`
    table: ImageTable  # its rows; `rows` of it are their positions in the data
    place: Workplace  # the models of its machine


class SharedSites(SimulatedSites):
    """Clients of a shared space, cut from one table of images."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the clients: their numbers."""
        shared = required(self.config.shared)
        count = shared.image_clients + shared.both_clients + shared.text_clients
        return tuple(map(str, range(count)))

    @once
    def table(self) -> ImageTable:
        """All images, shaded evenly where they are shaded: the clients differ in classes alone."""
        return load_undivided(self.config)

    @once
    def partitions(self) -> tuple[Partition, ...]:
        """Who holds what."""
        table, config = self.table, self.config
        missing, arriving = positions(config, table.classes)
        return divide(
            table.labels, table.test, missing, arriving, required(config.shared), config.seed
        )

    def fingerprint(self) -> str:
        """A one-way hash of all rows and of who holds which."""
        return fingerprint(self.table, self.partitions)

    def held(self, index: int, place: Workplace) -> SharedSite:
        """A client, with its rows alone."""
        return place.kept(("shared site", index), lambda: self._held(index, place))

    def _held(self, index: int, place: Workplace) -> SharedSite:
        own = self.partitions[self.position(index)]
        rows = np.unique(np.concatenate([own.rows, own.held_out, own.test]))

        def here(chosen: Rows) -> Rows:
            return np.searchsorted(rows, chosen)

        table = replace(self.table.take(rows), rows=rows)
        cut = replace(own, rows=here(own.rows), held_out=here(own.held_out), test=here(own.test))
        return SharedSite(index, cut, table, place)


def shared_site(request: Request) -> SharedSite:
    """The site that a message is for; refused if it holds nothing, or is real."""
    sites = simulated(request.sites, SharedSites, "[shared]")
    return sites.held(request.client, sites.place(request.study))
