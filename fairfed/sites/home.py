"""A real site at home: its rows and models under a study, and what it remembers of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from flwr.app import ConfigRecord, Message

from evaluation.files import write_whole
from fairfed.config import FederationConfig
from fairfed.config.arms import slug
from fairfed.config.site import SiteConfig
from fairfed.config.source import BUNDLED, HUB
from fairfed.data import ImageTable, LabelledTable
from fairfed.data.fingerprint import fingerprint
from fairfed.sites.client_state import own_state
from fairfed.sites.disk_memory import DiskMemory, stamp_of
from fairfed.sites.keys import Identity, key_file
from fairfed.sites.local_data import load_site_data
from fairfed.sites.memory import Memory
from fairfed.sites.model_sources import ModelSources
from fairfed.sites.progress import UnderWay, at_most
from fairfed.sites.request import UNDER_WAY
from fairfed.sites.site import Site, SiteRows
from fairfed.sites.workplace import Workplace
from generators.writing import explained
from semantic.errors import InputError
from semantic.own_code import OWN

if TYPE_CHECKING:
    from fairfed.sites.report import DataReport
    from fairfed.sites.request import Request

OTHER_DATA = (
    "the data of this site are not those that it began study {study!r} with: bring them back, or "
    "remove {path} to go on with the new ones"
)
NO_DOWNLOAD = (
    "{field}: {source!r} is not on this disk, and policy.allow_download is false; give a "
    "directory, or allow it"
)


def read_rows(config: SiteConfig, study: FederationConfig) -> tuple[SiteRows, DataReport]:
    """A site's rows in a study's names, and what became of those that it has.

    Raises as `fairfed.sites.local_data.load_site_data`.
    """
    if config.data.source.startswith(HUB):
        _require_here(config, "data.source", config.data.source.removeprefix(HUB))
    table, report = load_site_data(config, study.labels, study.seed, study.table)
    measured = getattr(table, "measured", table.test)
    return SiteRows(table, np.flatnonzero(~table.test), np.flatnonzero(measured)), report


def site_of(
    config: SiteConfig,
    study: FederationConfig,
    rows: SiteRows,
    index: int = 0,
    kept: Path | None = None,
    memory: Memory | None = None,
) -> Site:
    """A real site under a study; see `Site` for `index` and `kept`, `Workplace` for `memory`.

    Raises `InputError` if a model is not on the disk and the site downloads none.
    """
    images = rows.table if isinstance(rows.table, ImageTable) else None
    # What CLIP makes of images is told in numbers: they are of rows that the site says.
    looked_at = None if images is None else lambda: (images, site.said_rows(rows.train))
    place = Workplace(study, _sources(config), looked_at, memory)
    who = Identity(key_file(config), config.peers)
    site: Site = Site(
        config.name, index, rows, place, policy=config.policy, kept=kept, identity=who
    )
    return site


def _sources(config: SiteConfig) -> ModelSources:
    models = config.models
    for field in ("encoder", "generator"):
        source = getattr(models, field)
        if source != BUNDLED and not OWN.fullmatch(source):
            _require_here(config, f"models.{field}", source)
    return ModelSources(
        models.encoder, models.generator, models.lora, models.embeddings,
        config.compute.device, config.compute.training,
        str(Path(config.state.directory) / "synthetic"), models.weights,
    )  # fmt: skip


def _require_here(config: SiteConfig, field: str, source: str) -> None:
    if not (config.policy.allow_download or Path(source).exists()):
        raise InputError(NO_DOWNLOAD.format(field=field, source=source))


class Home:
    """One real site; `patience` as in `fairfed.sites.local.LocalSites`."""

    def __init__(self, config: SiteConfig, patience: float | None) -> None:
        self.config, self._patience = config, patience
        self._lock = threading.RLock()
        self._site: Site | None = None
        self._loaded: tuple[Any, SiteRows] | None = None
        self.state = Path(config.state.directory)

    def site(self, study: FederationConfig, index: int) -> Site:
        """The site under a study, built with the first message of it."""
        with self._lock:
            if self._site is None or self._site.study != study:
                self._site = self._under(study, index)
            return self._site

    @property
    def built(self) -> Site | None:
        """The site under the last study that it had to be built for."""
        return self._site

    def _under(self, study: FederationConfig, index: int) -> Site:
        rows, kept = self._rows(study), self._kept(study)
        found = self._verify(study, rows.table, kept / "data.json")
        memory = self._memory(f"{found} {study.to_json()} {self.config.models!r}")
        return site_of(self.config, study, rows, index, kept, memory)

    def _memory(self, about: str) -> Memory:
        """What is remembered: from message to message on the disk, where each has a process."""
        if self._patience is None:
            return Memory()
        return DiskMemory(self.state / "cache", about)

    def _kept(self, study: FederationConfig) -> Path:
        """Where the site keeps what it must know of a study later on."""
        mark = sha256(study.name.encode()).hexdigest()[:8]  # two names may be one as a file's
        return self.state / "studies" / f"{slug(study.name)[:40]}-{mark}"

    def _rows(self, study: FederationConfig) -> SiteRows:
        """The site's rows in the federation's names, read once for a label space."""
        known = study.labels, study.seed, study.table.unfitted
        if self._loaded is None or self._loaded[0] != known:
            self._loaded = known, self._read(study, repr(known))
        return self._loaded[1]

    def _read(self, study: FederationConfig, known: str) -> SiteRows:
        """The rows, from their files or as they were read from these before."""

        def now() -> SiteRows:
            return read_rows(self.config, study)[0]

        data = self.config.data
        places = [Path(place) for place in (data.source, data.directory) if place]
        if self._patience is None or not all(place.exists() for place in places):
            return now()  # rows of a hub, or of a function, may be others
        about = f"{[stamp_of(place) for place in places]} {data!r} {known}"
        return self._memory(about).get("rows", now, lambda _: 0)

    def _verify(self, study: FederationConfig, table: LabelledTable, path: Path) -> str:
        """Refuse to go on in a study with other data than it was begun with; their hash."""
        found = fingerprint(table)
        if path.is_file():
            if json.loads(path.read_text(encoding="utf-8"))["sha256"] != found:
                raise InputError(OTHER_DATA.format(study=study.name, path=path))
            return found
        with explained(path):
            write_whole(path, (json.dumps({"sha256": found}) + "\n").encode())
        return found

    def answer(self, request: Request, handler: Callable[[Request], Message]) -> Message:
        """See `LocalSites.answer`."""
        if not request.has_study:
            return handler(request)
        kept = self._kept(request.study)
        if self._patience is None:
            with own_state(request, kept):
                return handler(request)
        count = kept / "synthesised.json"
        before = json.loads(count.read_text(encoding="utf-8")) if count.is_file() else 0
        try:
            with own_state(request, kept), at_most(self._patience):
                reply = handler(request)
        except UnderWay as pause:
            with explained(count):
                write_whole(count, json.dumps(before + pause.made).encode())
            total = int(request.own_site.pools(request.arm).sum())
            said = ConfigRecord({"handled": pause.handled, "of": total})
            return request.reply({}, **{UNDER_WAY: said})
        if before:  # what earlier answers to the same question have made
            count.unlink(missing_ok=True)
            metrics = reply.content.metric_records["metrics"]
            for name, further in (("generated", before), ("reused", -before)):
                count_now = metrics.get(name)
                if isinstance(count_now, int):
                    metrics[name] = count_now + further
        return reply
