"""A message to one client of a simulation, without a run."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from flwr.app import ConfigRecord, Context, Message, RecordDict

from fairfed.config import Config
from fairfed.sites.collection import Sites
from fairfed.sites.request import Request
from fairfed.system import simulated_study


class Unsimulated:
    """The sites of a simulation behind the protocol alone, as real sites are."""

    def __init__(self, sites: Sites) -> None:
        self.name, self.site = sites.name, sites.site


def context_of(client: int, clients: int) -> Context:
    """The state of a client that nobody has asked anything."""
    return Context(0, 1, {"partition-id": client, "num-partitions": clients}, RecordDict(), {})


def request_to(
    config: Config, client: int, sent: Mapping[str, Any], *, simulated: bool = True
) -> Request:
    """A request with these settings beside the study."""
    study = simulated_study(config)
    sites = study.simulated("a test")
    asked = ConfigRecord({**study.request(), **sent})
    # Flower makes messages within a run alone.
    message = cast("Message", SimpleNamespace(content=RecordDict({"config": asked})))
    context = context_of(client, len(sites.names))
    return Request(message, context, sites if simulated else Unsimulated(sites))
