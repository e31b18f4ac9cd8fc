"""Real sites: each reads its own site.toml, and decides what it does for a study.

What a site refuses is said in full at home; the server learns the kind of the error alone.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from flwr.app import ConfigRecord, Context, Message

from evaluation.files import write_whole
from fairfed import __version__
from fairfed.config import FederationConfig
from fairfed.config.arms import slug
from fairfed.config.site import SiteConfig
from fairfed.config.source import BUNDLED, HUB
from fairfed.config.systems import Action
from fairfed.data import ImageTable, LabelledTable
from fairfed.data.fingerprint import fingerprint
from fairfed.data.table import natural_order
from fairfed.errors import PublicInputError
from fairfed.sites.client_state import own_state
from fairfed.sites.collection import MAIN, Sites, partition_of
from fairfed.sites.disk_memory import DiskMemory, stamp_of
from fairfed.sites.local_data import load_site_data
from fairfed.sites.memory import Memory
from fairfed.sites.policy import action_of, most_made, refusals
from fairfed.sites.progress import UnderWay, at_most
from fairfed.sites.site import Site, SiteRows
from fairfed.sites.workplace import ModelSources, Workplace
from generators.writing import append_whole, explained
from semantic.errors import InputError
from semantic.own_code import OWN

if TYPE_CHECKING:
    from fairfed.sites.report import DataReport
    from fairfed.sites.request import Request

LEDGER = "ledger.jsonl"
"""What has left the site, a line for each message, in its state directory."""
ONLY_SIMULATED = (
    "the study divides rows as '{split}', which only a simulation can do: it has the rows of all "
    "sites in one place"
)
REFUSED = "study {study!r}: {reasons}. Change the policy in site.toml, or stay out of the study"
OTHER_DATA = (
    "the data of this site are not those that it began study {study!r} with: bring them back, or "
    "remove {path} to go on with the new ones"
)
UNDER_WAY = "under-way"
"""Record of an answer that only says how far the site is: images ``handled`` ``of`` so many."""
VERSION = "version"
"""Entry of the first question of all: the server's version of fairfed."""
OTHER_VERSION = (
    "this site has fairfed {here}, and the server {there}: install the same version on every side"
)
TWICE = "two sites are called {name!r}; give every site a name of its own"
NO_DOWNLOAD = (
    "{field}: {source!r} is not on this disk, and policy.allow_download is false; give a "
    "directory, or allow it"
)


def read_rows(config: SiteConfig, study: FederationConfig) -> tuple[SiteRows, DataReport]:
    """A site's rows in a study's names, and what became of those that it has.

    Raises
    ------
    semantic.errors.InputError
        As `fairfed.sites.local_data.load_site_data`.
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

    Raises
    ------
    semantic.errors.InputError
        If a model is not on the disk and the site downloads none.
    """
    images = rows.table if isinstance(rows.table, ImageTable) else None
    # What CLIP makes of images is told in numbers: they are of rows that the site says.
    looked_at = None if images is None else lambda: (images, site.said_rows(rows.train))
    place = Workplace(study, _sources(config), looked_at, memory)
    site: Site = Site(config.name, index, rows, place, policy=config.policy, kept=kept)
    return site


def _sources(config: SiteConfig) -> ModelSources:
    models = config.models
    for field in ("encoder", "generator"):
        source = getattr(models, field)
        if source != BUNDLED and not OWN.fullmatch(source):
            _require_here(config, f"models.{field}", source)
    return ModelSources(
        models.encoder, models.generator, models.lora, models.embeddings,
        config.compute.device, str(Path(config.state.directory) / "synthetic"),
    )  # fmt: skip


def _require_here(config: SiteConfig, field: str, source: str) -> None:
    if not (config.policy.allow_download or Path(source).exists()):
        raise InputError(NO_DOWNLOAD.format(field=field, source=source))


class LocalSites(Sites):
    """The sites of this process: one, or several in a trial on one machine.

    Parameters
    ----------
    configs
        Their configurations, with paths placed; they are ordered by name.
    patience
        Seconds after which an answer that synthesises says how far it is, to be asked again; None
        to answer only when all is done.

    Raises
    ------
    semantic.errors.InputError
        If two have one name.
    """

    def __init__(self, configs: Sequence[SiteConfig], patience: float | None = None) -> None:
        names = [config.name for config in configs]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(TWICE.format(name=twice[0]))
        by_name = {config.name: config for config in configs}
        self._homes = [_Home(by_name[name], patience) for name in natural_order(names)]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sites, in order."""
        return tuple(home.config.name for home in self._homes)

    def name(self, context: Context) -> str:
        """What a client's site is called."""
        return self._home(context).config.name

    def site(
        self, context: Context, study: FederationConfig, split: str = MAIN, pooled: bool = False
    ) -> Site:
        """A client's site under a study; see `fairfed.sites.collection.Sites`."""
        if split != MAIN or pooled:
            raise InputError(ONLY_SIMULATED.format(split="pooled" if pooled else split))
        return self._home(context).site(study, partition_of(context))

    def admit(self, request: Request) -> None:
        """Refuse what the site's policy does not allow."""
        self._home(request.context).admit(request)

    def answer(self, request: Request, handler: Callable[[Request], Message]) -> Message:
        """Have a handler answer with the site's own state, or say how far its synthesis is."""
        return self._home(request.context).answer(request, handler)

    def released(self, request: Request, reply: Message) -> None:
        """Note in the site's ledger what leaves it."""
        self._home(request.context).note(request, _contents(reply))

    def failed(self, request: Request, error: BaseException) -> None:
        """Note there which error leaves it: its kind, or what it may say in full."""
        public = isinstance(error, PublicInputError)
        said = str(error) if public else type(error).__name__
        self._home(request.context).note(request, {"error": said})

    def _home(self, context: Context) -> _Home:
        return self._homes[0] if len(self._homes) == 1 else self._homes[partition_of(context)]


class _Home:
    """One real site."""

    def __init__(self, config: SiteConfig, patience: float | None) -> None:
        self.config, self._patience = config, patience
        self._lock = threading.RLock()
        self._site: Site | None = None
        self._loaded: tuple[Any, SiteRows] | None = None
        self._state = Path(config.state.directory)

    def site(self, study: FederationConfig, index: int) -> Site:
        """The site under a study, built with the first message of it."""
        with self._lock:
            if self._site is None or self._site.study != study:
                self._site = self._built(study, index)
            return self._site

    def _built(self, study: FederationConfig, index: int) -> Site:
        rows, kept = self._rows(study), self._kept(study)
        found = self._verify(study, rows.table, kept / "data.json")
        memory = self._memory(f"{found} {study.to_json()} {self.config.models!r}")
        return site_of(self.config, study, rows, index, kept, memory)

    def _memory(self, about: str) -> Memory:
        """What is remembered: from message to message on the disk, where each has a process."""
        if self._patience is None:
            return Memory()
        return DiskMemory(self._state / "cache", about)

    def _kept(self, study: FederationConfig) -> Path:
        """Where the site keeps what it must know of a study later on."""
        mark = sha256(study.name.encode()).hexdigest()[:8]  # two names may be one as a file's
        return self._state / "studies" / f"{slug(study.name)[:40]}-{mark}"

    def _rows(self, study: FederationConfig) -> SiteRows:
        """The site's rows in the federation's names, read once for a label space."""
        unfitted = study.table.model_copy(update={"moments": {}, "ranges": {}, "categories": {}})
        known = study.labels, study.seed, unfitted
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

    def admit(self, request: Request) -> None:
        """Refuse a message that asks for more than the policy allows, or of another version."""
        if not request.has_study:
            asking = str(request.sent.get(VERSION, __version__))
            if asking != __version__:
                raise PublicInputError(OTHER_VERSION.format(here=__version__, there=asking))
            return
        study, policy = request.study, self.config.policy
        action = action_of(request.message.metadata.message_type)
        also: list[Action] = [action] if request.extra is None else [action, "synthesise"]
        # What needs no data is asked first: nothing is read for a study that is refused anyway.
        reasons = list(refusals(policy, study, 0, *also))
        reasons = reasons or list(refusals(policy, study, self._synthetic(request, action)))
        most, number = policy.max_rounds, int(request.sent.get("round", 0))  # type: ignore[arg-type]
        if most is not None and number > most:
            reasons.append(f"policy.max_rounds: round {number} is asked for, allowed are {most}")
        if reasons:
            raise InputError(REFUSED.format(study=study.name, reasons="; ".join(reasons)))

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

    def _synthetic(self, request: Request, action: Action) -> int:
        """Images that the site would make at most for what is asked; training makes them, too."""
        if self.config.policy.max_synthetic is None or "arm" not in request.sent:
            return 0
        study, arm, pools = request.study, request.arm, list[int]()
        if action == "synthesise" or (action == "train" and arm.augment):
            pools = self.site(study, request.client).pools(arm).ravel().tolist()
        further = [] if request.extra is None else request.extra[request.extra > 0].tolist()
        return most_made([*pools, *further], study.augment)

    def note(self, request: Request, left: Mapping[str, object]) -> None:
        """Add a line to the ledger: when, for which study, and what leaves. Only then it does."""
        sent: Mapping[str, Any] = request.message.content.config_records.get("config", {})
        line = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "study": _name_of(request),
            "asked": request.message.metadata.message_type,
            "round": sent.get("round", 0),
            **left,
        }
        path, row = self._state / LEDGER, json.dumps(line, ensure_ascii=False)
        with explained(path):
            self._state.mkdir(parents=True, exist_ok=True)
        append_whole(path, f"{row}\n".encode())


def _name_of(request: Request) -> str | None:
    """Name of the study that a message is of, where it has one that can be read."""
    try:
        return request.study.name if request.has_study else None
    except (InputError, KeyError):
        return None


def _contents(reply: Message) -> dict[str, object]:
    """What a reply holds: the names of numbers and of texts, how many, and how large its arrays."""
    content = reply.content
    return {
        "numbers": {
            name: len(value) if isinstance(value, list) else 1
            for record in content.metric_records.values()
            for name, value in record.items()
        },
        "texts": sorted(name for record in content.config_records.values() for name in record),
        "arrays": sum(len(record) for record in content.array_records.values()),
        "bytes": sum(record.count_bytes() for record in content.array_records.values()),
    }
