"""Real sites: each reads its own site.toml, and decides what it does for a study.

What a site refuses is said in full at home; the server learns the kind of the error alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from flwr.app import Context, Message

from fairfed.config import FederationConfig
from fairfed.config.site import SiteConfig
from fairfed.data.table import natural_order
from fairfed.errors import PublicInputError
from fairfed.sites.collection import MAIN, Sites, partition_of
from fairfed.sites.gate import Gate
from fairfed.sites.home import Home
from fairfed.sites.site import Site
from generators.writing import StoreError
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.sites.request import Request

ONLY_SIMULATED = (
    "the study divides rows as '{split}', which only a simulation can do: it has the rows of all "
    "sites in one place"
)
TWICE = "two sites are called {name!r}; give every site a name of its own"


class LocalSites(Sites):
    """The sites of this process: one, or several in a trial on one machine.

    Their configurations, with paths placed, are ordered by name; `InputError` if two have one name.
    After `patience` seconds an answer that synthesises says how far it is, to be asked again; None
    to answer only when all is done.
    """

    def __init__(self, configs: Sequence[SiteConfig], patience: float | None = None) -> None:
        names = [config.name for config in configs]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(TWICE.format(name=twice[0]))
        by_name = {config.name: config for config in configs}
        homes = [Home(by_name[name], patience) for name in natural_order(names)]
        self._doors = [(home, Gate(home)) for home in homes]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sites, in order."""
        return tuple(home.config.name for home, _ in self._doors)

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
        self._gate(request.context).admit(request)

    def answer(self, request: Request, handler: Callable[[Request], Message]) -> Message:
        """Have a handler answer with the site's own state, or say how far its synthesis is."""
        return self._home(request.context).answer(request, handler)

    def released(self, request: Request, reply: Message) -> None:
        """Note in the site's ledger what leaves it."""
        try:
            self._gate(request.context).release(request, reply)
        except StoreError:
            raise
        except Exception as error:
            self.failed(request, error)
            raise

    def failed(self, request: Request, error: BaseException) -> None:
        """Note there which error leaves it: its kind, or what it may say in full."""
        public = isinstance(error, PublicInputError)
        said = str(error) if public else type(error).__name__
        self._gate(request.context).fail(request, said)

    def _door(self, context: Context) -> tuple[Home, Gate]:
        return self._doors[0] if len(self._doors) == 1 else self._doors[partition_of(context)]

    def _home(self, context: Context) -> Home:
        return self._door(context)[0]

    def _gate(self, context: Context) -> Gate:
        return self._door(context)[1]
