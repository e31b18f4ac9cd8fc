"""A simulation of a shared space: who holds images of some classes, captions, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from fairfed.config.base import required
from fairfed.config.shared import SharedConfig
from fairfed.data import ImageTable
from fairfed.data.federation import load_undivided
from fairfed.data.fingerprint import fingerprint
from fairfed.once import once
from fairfed.sites.request import Request
from fairfed.sites.simulated import SimulatedSites, simulated
from fairfed.sites.workplace import Workplace
from fairfed.systems.shared_space.classes import positions
from semantic.errors import InputError

Rows = npt.NDArray[np.int64]
Kind = Literal["images", "both", "text"]
_STREAM = 41


@dataclass(frozen=True, eq=False)
class Partition:
    """What one client has."""

    kind: Kind  # which modalities
    # Its label set: positions in the federation's classes, in the client's own order
    classes: tuple[int, ...]
    rows: Rows  # rows that it has the image, the caption, or both of, ascending
    # Rows of missing and arriving classes that only a reference variant gives it, ascending
    held_out: Rows
    test: Rows  # its test rows, of all classes; none where it has no images


def label_sets(seen: Sequence[int], clients: int, size: int, seed: int) -> list[tuple[int, ...]]:
    """Label sets of the clients with images: windows of a seeded circle, spread evenly over it.

    A size above the number of classes, or one that leaves a class to nobody, is refused.
    """
    if size > len(seen):
        raise InputError(
            f"shared.classes_per_client is {size}, but images are there of {len(seen)} classes "
            "only; lower it, or name fewer in shared.missing"
        )
    circle = np.random.default_rng([seed, _STREAM]).permutation(np.array(seen))
    starts = [round(i * len(seen) / clients) for i in range(clients)]
    found = [tuple(np.roll(circle, -start)[:size].tolist()) for start in starts]
    if len(set().union(*found)) < len(seen):
        raise InputError(
            f"shared: {clients} clients with {size} classes each leave some of {len(seen)} classes "
            "to nobody; raise classes_per_client or image_clients"
        )
    return found


def divide(
    labels: npt.NDArray[np.int64],
    test: npt.NDArray[np.bool_],
    missing: Sequence[int],
    arriving: Sequence[int],
    shared: SharedConfig,
    seed: int,
) -> tuple[Partition, ...]:
    """Divide the rows: first the clients with images, then with both, then with captions alone.

    Every training row is at one client at most. Rows of a missing class are where captions of it
    are, for somebody has seen what a caption describes; its image is nowhere, and of an arriving
    class there is nothing. Test rows of every class are divided evenly among the clients with
    images.
    """
    sighted = shared.image_clients + shared.both_clients
    held = {*missing, *arriving}
    seen = [label for label in range(int(labels.max()) + 1) if label not in held]
    sets = label_sets(seen, sighted, shared.classes_per_client, seed)
    own: list[list[Rows]] = [[] for _ in range(sighted + shared.text_clients)]
    further: list[list[Rows]] = [[] for _ in range(sighted)]
    tests: list[list[Rows]] = [[] for _ in range(sighted)]
    for label in [*seen, *sorted(held)]:
        rng = np.random.default_rng([seed, _STREAM, label])
        train = rng.permutation(np.flatnonzero((labels == label) & ~test))
        for client, rows in enumerate(
            np.array_split(np.flatnonzero((labels == label) & test), sighted)
        ):
            tests[client].append(rows)
        if label in seen:
            holders = [client for client, names in enumerate(sets) if label in names]
            for client, rows in zip(holders, np.array_split(train, len(holders)), strict=True):
                own[client].append(rows[: shared.images_per_class])
            continue
        for client, rows in enumerate(np.array_split(train, sighted)):
            further[client].append(rows[: shared.images_per_class])
        if label in missing and shared.text_clients:
            for i, rows in enumerate(np.array_split(train, shared.text_clients)):
                own[sighted + i].append(rows[: shared.captions_per_class])
    return tuple(
        Partition(
            kind=_kind(client, shared),
            classes=sets[client] if client < sighted else tuple(missing),
            rows=_together(own[client]),
            held_out=_together(further[client]) if client < sighted else _together([]),
            test=_together(tests[client]) if client < sighted else _together([]),
        )
        for client in range(len(own))
    )


def _kind(client: int, shared: SharedConfig) -> Kind:
    if client < shared.image_clients:
        return "images"
    return "both" if client < shared.image_clients + shared.both_clients else "text"


def _together(parts: list[Rows]) -> Rows:
    return np.sort(np.concatenate([np.zeros(0, np.int64), *parts]))


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
