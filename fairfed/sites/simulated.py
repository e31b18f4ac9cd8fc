"""A simulation: sites cut from one data set, and what only somebody who sees all of it can do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from flwr.app import Context

from fairfed.config import Config
from fairfed.config.federation import AttributeRows, FederationConfig, agreed
from fairfed.config.labels import LabelSpace, found_space
from fairfed.config.training import trains_part
from fairfed.data import (
    FederatedImages,
    Federation,
    ImageTable,
    LabelledTable,
    load_federation,
)
from fairfed.data.fingerprint import fingerprint
from fairfed.data.tables import FederatedRows, load_rows
from fairfed.data.tables.fit import named_columns
from fairfed.errors import PublicInputError
from fairfed.once import once
from fairfed.sites.collection import IID, MAIN, Sites, partition_of
from fairfed.sites.model_sources import ENCODER, WEIGHTS, sources_of, weights_fingerprint
from fairfed.sites.semantics import attribute_table
from fairfed.sites.site import Site, SiteRows
from fairfed.sites.workplace import Workplace
from semantic.encoder import load_encoder
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.data.tables import FederatedRows

NOBODY = "the data holds no client; see 'data.client' and 'partition'"
NO_SITE = "client {client} holds nothing: the data is divided among {sites} clients; run as many"
ONLY_SIMULATED = (
    "{what} needs the data of all sites in one place, which only a simulation has ([data] and "
    "[partition] in the configuration); leave it out"
)


class SimulatedSites(Sites):
    """The clients of a simulation, cut from the run's data, which are loaded at first use."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._lock = threading.RLock()
        self._divided: dict[str, Federation] = {}
        self._sites: dict[tuple[int, str, bool], Site] = {}
        self._place: Workplace | None = None

    def __reduce__(self) -> tuple[Callable[..., SimulatedSites], tuple[Any, ...]]:
        """Travel to a worker's process without the data, which that process loads once."""
        return in_this_process, (type(self), self.config)

    # what is known of all sites together

    def data(self, split: str = MAIN) -> Federation:
        """All rows and who holds which."""
        with self._lock:
            if split not in self._divided:
                self._divided[split] = self._load(split == IID)
            return self._divided[split]

    def _load(self, iid: bool) -> Federation:
        load = load_rows if self.config.data.tabular else load_federation
        return load(self.config, iid)

    @property
    def table(self) -> LabelledTable:
        """All rows."""
        return self.data().table

    @property
    def images(self) -> FederatedImages:
        """The same, where they are images."""
        data = self.data()
        if not isinstance(data, FederatedImages):
            raise TypeError("the federation holds a table, not images")
        return data

    @property
    def rows(self) -> FederatedRows:
        """The same, where they are a table."""
        data = self.data()
        if not isinstance(data, FederatedRows):
            raise TypeError("the federation holds images, not a table")
        return data

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sites, in order."""
        names = self.data().names
        if not names:
            raise InputError(NOBODY)
        return names

    @once
    def labels(self) -> LabelSpace:
        """Classes and groups, as the data have them."""
        table, data = self.table, self.config.data
        sensitive = data.sensitive if len(table.group_names) > 1 else ()
        names = table.classes, table.group_names
        if data.tabular:
            return found_space(*names, sensitive, "table")
        return found_space(*names, sensitive, "images", data.image_size)

    @once
    def study(self) -> FederationConfig:
        """What the clients are told."""
        config = self.config
        if config.data.tabular:
            config = named_columns(config, self.rows.table)
        return agreed(config, self.labels, attribute_rows(config), fingerprints(config))

    @property
    def source(self) -> str:
        """What the data are called in messages to the user."""
        return self.config.data.source

    def fingerprint(self) -> str:
        """A one-way hash of all rows and of who holds which."""
        return fingerprint(self.data())

    def place(self, study: FederationConfig) -> Workplace:
        """The models of this machine under a study, shared by all sites and the server."""
        with self._lock:
            if self._place is None or self._place.study != study:
                looked_at = None if self.config.data.tabular else self._looked_at
                self._place = Workplace(study, sources_of(self.config), looked_at)
                self._sites.clear()
            return self._place

    def _looked_at(self) -> tuple[ImageTable, npt.NDArray[np.int64]]:
        """All training images."""
        data = self.images
        return data.table, np.sort(np.concatenate(data.train))

    # one site

    def name(self, context: Context) -> str:
        """What a client's site is called."""
        return self.names[self.position(partition_of(context))]

    def position(self, client: int) -> int:
        """The position of a client among the sites, which is its number."""
        if client >= len(self.names):
            raise PublicInputError(NO_SITE.format(client=client, sites=len(self.names)))
        return client

    def site(
        self, context: Context, study: FederationConfig, split: str = MAIN, pooled: bool = False
    ) -> Site:
        """A client's site under a study; see `fairfed.sites.collection.Sites`."""
        return self.cut(partition_of(context), study, split, pooled)

    def cut(
        self, index: int, study: FederationConfig, split: str = MAIN, pooled: bool = False
    ) -> Site:
        """The site of a client, by its position."""
        with self._lock:
            place, key = self.place(study), (self.position(index), split, pooled)
            if key not in self._sites:
                rows = self._rows(index, split, pooled)
                view = f"{split} pooled" if pooled else split
                self._sites[key] = Site(self.names[index], index, rows, place, view)
            return self._sites[key]

    def _rows(self, index: int, split: str, pooled: bool) -> SiteRows:
        data = self.data(split)
        train, test = data.train[index], data.test[index]
        if pooled:
            train = np.concatenate(data.train) if index == 0 else train[:0]
        own = np.union1d(train, test)
        table = data.table.take(own)
        return SiteRows(table, np.searchsorted(own, np.sort(train)), np.searchsorted(own, test))


def fingerprints(config: Config) -> dict[str, str]:
    """Hashes of weights that all must share, where only what differs from them travels."""
    if config.model == "clip" or config.heads is not None:
        return {ENCODER: load_encoder(config.semantic.encoder).fingerprint}
    if config.weights is not None and any(trains_part(config, arm) for arm in config.arms):
        return {WEIGHTS: weights_fingerprint(config.weights)}
    return {}


def attribute_rows(config: Config) -> AttributeRows | None:
    """The class × attribute table of a run as text; None where classes go by their names."""
    if config.data.tabular or config.semantic.attributes == "names":
        return None
    table = attribute_table(config.semantic, ())
    values = tuple(tuple(row) for row in table.values.tolist())
    return AttributeRows(
        classes=table.classes, prompts=table.prompts, attributes=table.attributes, values=values
    )


Kind = TypeVar("Kind", bound=SimulatedSites)


def simulated(sites: object, kind: type[Kind], what: str) -> Kind:
    """The simulation that something needs; `PublicInputError` if the sites are real."""
    if not isinstance(sites, kind):
        raise PublicInputError(ONLY_SIMULATED.format(what=what))
    return sites


_HERE: list[SimulatedSites] = []
_HERE_LOCK = threading.Lock()


def in_this_process(kind: type[Kind], config: Config) -> Kind:
    """The sites of a run: those that this process has already, if it is the same run."""
    with _HERE_LOCK:
        found = _HERE[0] if _HERE else None
        if not isinstance(found, kind) or found.config != config:
            found = kind(config)
            _HERE[:] = [found]
        return found
