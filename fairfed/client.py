"""The Flower ClientApp: what a site answers, on every engine.

Of an error, only its kind leaves a site.
"""

from __future__ import annotations

from importlib import import_module

import torch
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from fairfed.config import Config, load_config
from fairfed.config.site import SiteConfig
from fairfed.config.systems import MESSAGES
from fairfed.engines.deployment import refuse_site
from fairfed.engines.redaction import redact_client_errors
from fairfed.sites.collection import Sites
from fairfed.sites.local import LocalSites
from fairfed.sites.request import Request
from fairfed.system import simulation_of


def client_app(sites: Sites | None = None) -> ClientApp:
    """ClientApp of a federation.

    Parameters
    ----------
    sites
        Which sites the clients are; None to simulate those of the run configuration, as `flwr run`
        does.
    """
    made = ClientApp(mods=[redact_client_errors, refuse_site])
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
        sites = self._sites or simulation_of(run_configuration(context))
        request = Request(message, context, sites)
        try:
            sites.admit(request)
            reply: Message = handler(request)
        except (Exception, SystemExit) as error:
            sites.failed(request, error)
            raise
        sites.released(request, reply)
        return reply


def app_of_site(config: SiteConfig) -> ClientApp:
    """The app of one site, in a process of its own."""
    if config.compute.threads is not None:
        torch.set_num_threads(config.compute.threads)
    return client_app(LocalSites([config]))


def run_configuration(context: Context) -> Config:
    """The run that `flwr run` was started with.

    Its run configuration has `config` (path of a TOML file, empty for the defaults) and `overrides`
    (`"rounds=3 train.lr=0.1"`).
    """
    path = str(context.run_config.get("config", ""))
    overrides = str(context.run_config.get("overrides", "")).split()
    return load_config(path or None, overrides)


app = client_app()
