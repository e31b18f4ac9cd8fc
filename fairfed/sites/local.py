"""Real sites: each reads its own site.toml, and decides what it does for a study.

What a site refuses is said in full at home; the server learns the kind of the error alone.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from flwr.app import ConfigRecord, Context, Message

from evaluation.files import write_whole
from fairfed.config import FederationConfig
from fairfed.config.arms import slug
from fairfed.config.site import SiteConfig
from fairfed.config.source import BUNDLED, HUB
from fairfed.config.systems import Action
from fairfed.data import ImageTable, LabelledTable
from fairfed.data.fingerprint import fingerprint
from fairfed.data.table import natural_order
from fairfed.errors import PublicInputError
from fairfed.sites.approval import require_permitted
from fairfed.sites.collection import MAIN, Sites, partition_of
from fairfed.sites.entries import asked, beyond, left
from fairfed.sites.ledger import Entry, Ledger
from fairfed.sites.local_data import load_site_data
from fairfed.sites.policy import action_of, most_made, refusals
from fairfed.sites.receipts import RECEIPTS, to_note
from fairfed.sites.site import Site, SiteRows
from fairfed.sites.workplace import ModelSources, Workplace
from generators.writing import StoreError, explained
from semantic.errors import InputError
from semantic.own_code import OWN

if TYPE_CHECKING:
    from fairfed.sites.report import DataReport
    from fairfed.sites.request import Request

logger = logging.getLogger("fairfed")

ONLY_SIMULATED = (
    "the study divides rows as '{split}', which only a simulation can do: it has the rows of all "
    "sites in one place"
)
REFUSED = "study {study!r}: {reasons}. Change the policy in site.toml, or stay out of the study"
OTHER_DATA = (
    "the data of this site are not those that it began study {study!r} with: bring them back, or "
    "remove {path} to go on with the new ones"
)
BAD_RECEIPT = (
    "the receipt of answer %s is not signed by the coordinator whose key is "
    "coordinator.receipts_key: ask who sent it"
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
) -> Site:
    """A real site under a study; see `Site` for `index` and `kept`.

    Raises
    ------
    semantic.errors.InputError
        If a model is not on the disk and the site downloads none.
    """
    images = rows.table if isinstance(rows.table, ImageTable) else None
    # What CLIP makes of images is told in numbers: they are of rows that the site says.
    looked_at = None if images is None else lambda: (images, site.said_rows(rows.train))
    place = Workplace(study, _sources(config), looked_at)
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

    Raises
    ------
    semantic.errors.InputError
        If two have one name.
    """

    def __init__(self, configs: Sequence[SiteConfig]) -> None:
        names = [config.name for config in configs]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(TWICE.format(name=twice[0]))
        by_name = {config.name: config for config in configs}
        self._homes = [_Home(by_name[name]) for name in natural_order(names)]

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

    def released(self, request: Request, reply: Message) -> None:
        """Note in the site's ledger what leaves it."""
        try:
            self._home(request.context).release(request, reply)
        except StoreError:
            raise
        except Exception as error:
            self.failed(request, error)
            raise

    def failed(self, request: Request, error: BaseException) -> None:
        """Note there which error leaves it: its kind, or what it may say in full."""
        public = isinstance(error, PublicInputError)
        said = str(error) if public else type(error).__name__
        self._home(request.context).fail(request, said)

    def _home(self, context: Context) -> _Home:
        return self._homes[0] if len(self._homes) == 1 else self._homes[partition_of(context)]


class _Home:
    """One real site."""

    def __init__(self, config: SiteConfig) -> None:
        self.config = config
        self._lock = threading.RLock()
        self._site: Site | None = None
        self._loaded: tuple[Any, SiteRows] | None = None
        self._state = Path(config.state.directory)
        self._ledger = Ledger(self._state)

    def site(self, study: FederationConfig, index: int) -> Site:
        """The site under a study, built with the first message of it."""
        with self._lock:
            if self._site is None or self._site.study != study:
                self._site = self._built(study, index)
            return self._site

    def _built(self, study: FederationConfig, index: int) -> Site:
        rows, kept = self._rows(study), self._kept(study)
        self._verify(study, rows.table, kept / "data.json")
        return site_of(self.config, study, rows, index, kept)

    def _kept(self, study: FederationConfig) -> Path:
        """Where the site keeps what it must know of a study later on."""
        mark = sha256(study.name.encode()).hexdigest()[:8]  # two names may be one as a file's
        return self._state / "studies" / f"{slug(study.name)[:40]}-{mark}"

    def _rows(self, study: FederationConfig) -> SiteRows:
        """The site's rows in the federation's names, read once for a label space."""
        known = study.labels, study.seed, study.table.unfitted
        if self._loaded is None or self._loaded[0] != known:
            self._loaded = known, read_rows(self.config, study)[0]
        return self._loaded[1]

    def _verify(self, study: FederationConfig, table: LabelledTable, path: Path) -> None:
        """Refuse to go on in a study with other data than it was begun with."""
        found = fingerprint(table)
        if path.is_file():
            if json.loads(path.read_text(encoding="utf-8"))["sha256"] != found:
                raise InputError(OTHER_DATA.format(study=study.name, path=path))
            return
        with explained(path):
            write_whole(path, (json.dumps({"sha256": found}) + "\n").encode())

    def admit(self, request: Request) -> None:
        """Refuse a message that asks for more than the policy allows."""
        self.receive(request)
        if not request.has_study:
            return
        study, policy = request.study, self.config.policy
        require_permitted(policy, study, self._state)
        action = action_of(request.message.metadata.message_type)
        also: list[Action] = [action] if request.extra is None else [action, "synthesise"]
        # What needs no data is asked first: nothing is read for a study that is refused anyway.
        reasons = list(refusals(policy, study, 0, *also))
        reasons = reasons or list(refusals(policy, study, self._synthetic(request, action)))
        most, number = policy.max_rounds, int(request.sent.get("round", 0))  # type: ignore[arg-type]
        if most is not None and number > most:
            reasons.append(f"policy.max_rounds: round {number} is asked for, allowed are {most}")
        further = None if reasons else beyond(policy, request, self._ledger.entries())
        reasons += [] if further is None else [further]
        if reasons:
            raise InputError(REFUSED.format(study=study.name, reasons="; ".join(reasons)))

    def _synthetic(self, request: Request, action: Action) -> int:
        """Images that the site would make at most for what is asked; training makes them, too."""
        if self.config.policy.max_synthetic is None or "arm" not in request.sent:
            return 0
        study, arm, pools = request.study, request.arm, list[int]()
        if action == "synthesise" or (action == "train" and arm.augment):
            pools = self.site(study, request.client).pools(arm).ravel().tolist()
        further = [] if request.extra is None else request.extra[request.extra > 0].tolist()
        return most_made([*pools, *further], study.augment)

    def release(self, request: Request, reply: Message) -> None:
        """Add a line to the ledger that says all that leaves. Only then it does."""
        said, site = left(request, reply), self._site
        if site is not None and request.has_study and self.config.policy.counts == "suppress":
            rows = {"train": site.rows.train, "test": site.rows.test}
            said["unsaid"] = {name: int((~site.says(own)).sum()) for name, own in rows.items()}

        def allowed(entries: Iterator[Entry]) -> None:
            reason = beyond(self.config.policy, request, entries) if request.has_study else None
            if reason is not None:
                raise InputError(REFUSED.format(study=request.study.name, reasons=reason))

        # Another process may have answered since this question was admitted.
        self._ledger.append({**asked(request), **said}, allowed)

    def fail(self, request: Request, said: str) -> None:
        """Add a line that says which error leaves."""
        self._ledger.append({**asked(request), "error": said})

    def receive(self, request: Request) -> None:
        """Add lines with what the coordinator has signed of earlier answers."""
        sent = request.message.content.config_records.get("config", ConfigRecord())
        texts, key = sent.get(RECEIPTS), self.config.coordinator.receipts_key
        if not isinstance(texts, list) or not texts:
            return
        entries, time = self._ledger.entries(), asked(request)["time"]
        for line in to_note(map(str, texts), entries, self.config.name, key):
            if line["verified"] is False:
                logger.warning(BAD_RECEIPT, line["receipt"])
            self._ledger.append({"time": time, **line})
