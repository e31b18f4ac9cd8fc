"""The Flower ClientApp: what a site answers, on every engine.

Of an error, only its kind leaves a site.
"""

from __future__ import annotations

from importlib import import_module

import torch
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from fairfed.config import Config, load_config
from fairfed.config.site import SiteConfig, load_site
from fairfed.config.systems import MESSAGES
from fairfed.engines.redaction import redact_client_errors
from fairfed.errors import PublicInputError
from fairfed.rounds.exchange import CONFIG_KEY
from fairfed.sites.collection import Sites
from fairfed.sites.local import LocalSites
from fairfed.sites.request import CLIENT, CLIENTS, Request
from fairfed.system import simulation_of

SITE = "site"
"""What a SuperNode's configuration calls the path of its `site.toml`."""
SIMULATED = ("partition-id", "num-partitions")
"""What a simulation tells every client of itself."""
PATIENCE = 300.0
"""Seconds that a real site synthesises for one message before it says how far it is."""
NO_SITE = (
    "this SuperNode has no site: start it with `fairfed site start site.toml`, or with "
    "--node-config \"site='/path/of/site.toml'\""
)


def client_app(sites: Sites | None = None) -> ClientApp:
    """ClientApp of a federation.

    Parameters
    ----------
    sites
        Which sites the clients are; None to find out from what the engine says of the client: of a
        SuperNode, which `site.toml` is its own; of a simulation, which part of the data.
    """
    made = ClientApp(mods=[redact_client_errors])
    for message_type, (handler, _) in MESSAGES.items():
        kind, _, name = message_type.partition(".")
        getattr(made, kind)(name or "default")(_Answering(sites, handler))
    return made


class _Answering:
    """A handler whose module is loaded with its first message."""

    def __init__(self, sites: Sites | None, place: str) -> None:
        self._sites, self._place = sites, place

    def __call__(self, message: Message, context: Context) -> Message:
        """The site's answer."""
        module, name = self._place.split(":")
        handler = getattr(import_module(module), name)
        sites = self._sites or sites_of(context, message)
        request = Request(message, context, sites)
        try:
            sites.admit(request)
            reply = sites.answer(request, handler)
        except (Exception, SystemExit) as error:
            sites.failed(request, error)
            raise
        sites.released(request, reply)
        return reply


def app_of_site(config: SiteConfig) -> ClientApp:
    """The app of one site, in a process of its own."""
    return client_app(_at_home(config))


def _at_home(config: SiteConfig, patience: float | None = None) -> LocalSites:
    """The site whose process this is."""
    if config.compute.threads is not None:
        torch.set_num_threads(config.compute.threads)
    return LocalSites([config], patience)


def sites_of(context: Context, message: Message) -> Sites:
    """Who this client is, by its node configuration.

    Raises
    ------
    PublicInputError
        If that names neither a `site.toml` nor a part of a simulation.
    semantic.errors.InputError
        If the site's configuration is not as it should be.
    """
    node = context.node_config
    if SITE not in node:  # asked first: Flower keeps what is written below for the next message
        if all(name in node for name in SIMULATED):
            return simulation_of(run_configuration(context))
        raise PublicInputError(NO_SITE)
    # Of real sites, the server says who is which, and how many there are.
    sent = message.content.config_records[CONFIG_KEY]
    node["partition-id"] = int(sent[CLIENT])  # type: ignore[arg-type]
    node["num-partitions"] = int(sent.get(CLIENTS, 1))  # type: ignore[arg-type]
    # What is computed beyond a message's life is computed for nobody.
    return _at_home(load_site(str(node[SITE])), min(PATIENCE, message.metadata.ttl / 4))


def run_configuration(context: Context) -> Config:
    """The run that `flwr run` was started with.

    Its run configuration has `config` (path of a TOML file, empty for the defaults) and `overrides`
    (`"rounds=3 train.lr=0.1"`).
    """
    path = str(context.run_config.get("config", ""))
    overrides = str(context.run_config.get("overrides", "")).split()
    return load_config(path or None, overrides)


app = client_app()
