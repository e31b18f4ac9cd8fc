"""A ServerApp and its ClientApps on the engine that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fairfed.engines.inprocess import OnReply, run_in_process
from fairfed.engines.ray import run_on_ray
from semantic.errors import InputError

Engine = Literal["inprocess", "ray"]
ENGINES: tuple[Engine, ...] = get_args(Engine)


def run_apps(
    server_app: ServerApp,
    client_app: ClientApp,
    num_clients: int,
    *,
    engine: Engine = "inprocess",
    run_config: Mapping[str, bool | int | float | str] | None = None,
    workers: int = 1,
    wire: bool = False,
    on_reply: OnReply | None = None,
) -> None:
    """Run a ServerApp against ``num_clients`` copies of a ClientApp.

    Both engines show the apps the same things: node configuration ``partition-id`` (0-based) and
    ``num-partitions``, the run configuration, a state that persists between messages. Results come
    back through what the ServerApp writes or closes over.

    Parameters
    ----------
    server_app, client_app : ServerApp, ClientApp
        Flower apps (Message API). For Ray the ClientApp must survive cloudpickle.
    num_clients : int
        Number of clients, >= 1.
    engine : {"inprocess", "ray"}
        ``"inprocess"`` hands messages over in this process; ``"ray"`` has worker processes of Ray
        answer them.
    run_config : mapping, optional
        The run configuration that server and clients see in ``context.run_config``.
    workers : int
        Clients that work at once, >= 1: threads in process (1: none), processes of one CPU on Ray.
        Threads of torch are the caller's: workers x threads must not exceed the cores.
    wire : bool
        In process: every message makes a protobuf round trip in both directions. On Ray messages
        leave the process anyway and the flag changes nothing.
    on_reply : callable, optional
        ``on_reply(done, total, reply)`` after every reply of an exchange, in order of arrival.

    Raises
    ------
    InputError
        Unknown engine, fewer than one client or worker, or Ray not installed.
    RuntimeError
        Another federation runs in this process (Flower keeps its identity in a global).
    Exception
        Whatever the ServerApp raises, as raised.
    """
    if engine not in ENGINES:
        raise InputError(f"engine '{engine}': expected one of {', '.join(ENGINES)}")
    for name, value in (("num_clients", num_clients), ("workers", workers)):
        if value < 1:
            raise InputError(f"{name} = {value}: expected a number of at least 1")
    if engine == "ray":
        run_on_ray(server_app, client_app, num_clients, run_config, workers, on_reply)
        return
    run_in_process(
        server_app,
        client_app,
        num_clients,
        run_config=run_config,
        workers=workers,
        wire=wire,
        on_reply=on_reply,
    )
