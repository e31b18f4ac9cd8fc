"""A SuperLink is refused before anybody is asked: fairfed's federations are of one machine so far.

In a simulation every app can open the whole federation's data, and fairfed's do. On a SuperLink
each site would cut its own data into all clients' parts, and train on the wrong rows in silence.
"""

from __future__ import annotations

from flwr.app import Context, Message
from flwr.clientapp.typing import ClientAppCallable
from flwr.serverapp import Grid

from fairfed.engines.forwarding import ForwardingGrid
from fairfed.engines.inprocess import InProcessGrid
from fairfed.engines.private import SimulationGrid
from fairfed.errors import PublicInputError
from semantic.errors import InputError

NOT_YET = (
    "fairfed does not run over a SuperLink yet, only on one machine: use `fairfed run STUDY --site "
    "SITE.toml` with sites' own data, or a simulation (`fairfed run`, `flwr run`)"
)
SIMULATED = ("partition-id", "num-partitions")
"""What a simulation tells every client of itself."""


def refuse_deployment(grid: Grid) -> None:
    """Refuse a grid that is no simulation's, before a client is asked anything.

    Raises
    ------
    InputError
        The grid reaches a SuperLink, or is unknown.
    """
    inner = grid
    while isinstance(inner, ForwardingGrid):
        inner = inner.inner
    if not isinstance(inner, InProcessGrid | SimulationGrid):
        raise InputError(NOT_YET)


def refuse_site(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Refuse to answer as a client that no simulation has numbered (a Flower mod).

    Raises
    ------
    PublicInputError
        The node configuration lacks the client's number or that of all clients.
    """
    if not all(name in context.node_config for name in SIMULATED):
        raise PublicInputError(NOT_YET)
    return call_next(message, context)
