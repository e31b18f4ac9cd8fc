"""Flower's own simulation on Ray, for many cores: the same apps, Flower's scheduler.

``flwr.simulation.run_simulation`` is deprecated and the only way to run app objects on Ray from a
library (``flwr run`` needs a project on disk and a SuperLink). What it leaves to be wished for is
repaired here: the run configuration, the wait for the nodes, progress per client, its banner, and
the ``PYTHONPATH`` that it leaves behind.

A client that *raises* is an error reply. A client process that *dies* stays in Flower's pool of
actors and fails most messages from then on; that cannot be repaired from outside.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from fairfed.engines import OnReply
from fairfed.engines.exchange import wait_for_nodes
from fairfed.engines.private import Run, server_identity, silence_telemetry
from semantic.errors import InputError

RunConfig = Mapping[str, bool | int | float | str]

RAY_MISSING = "engine 'ray' needs Ray, which is not installed: pip install 'fairfed[ray]'"
NODE_TIMEOUT = 120.0
"""Seconds to wait for Flower to register its virtual nodes (it takes well under one)."""


class ConfiguredClientApp(ClientApp):
    """A ClientApp that sees the run configuration, as it does on SuperNodes.

    Parameters
    ----------
    inner : ClientApp
        The app to run.
    run_config : mapping
        What it finds in ``context.run_config``.
    """

    def __init__(self, inner: ClientApp, run_config: RunConfig) -> None:
        super().__init__()
        self._inner = inner
        self._run_config = dict(run_config)

    def __call__(self, message: Message, context: Context) -> Message:
        """Run the app with the configuration in its context."""
        context.run_config = dict(self._run_config)
        return self._inner(message, context)


class ObservedGrid(Grid):
    """A grid that reports every reply as it arrives.

    Parameters
    ----------
    inner : Grid
        The grid that does the work.
    on_reply : callable
        ``on_reply(done, total, reply)``.
    poll : float
        Seconds between two looks for replies.
    """

    def __init__(self, inner: Grid, on_reply: OnReply, poll: float = 0.05) -> None:
        self._inner = inner
        self._on_reply = on_reply
        self._poll = poll

    def set_run(self, run: Run) -> None:
        """Set the run that messages belong to."""
        self._inner.set_run(run)

    @property
    def run(self) -> Run:
        """The run that messages belong to."""
        return self._inner.run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Create a message (deprecated in Flower; ``Message(...)`` does the same)."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Return the node ids."""
        return self._inner.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages and return their ids."""
        return self._inner.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that have arrived."""
        return self._inner.pull_messages(message_ids)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Send messages and return the replies in order of arrival."""
        waiting = set(self.push_messages(messages))
        total = len(waiting)
        deadline = None if timeout is None else time.monotonic() + timeout
        replies: list[Message] = []
        while waiting and (deadline is None or time.monotonic() < deadline):
            arrived = list(self.pull_messages(waiting))
            for reply in arrived:
                replies.append(reply)
                self._on_reply(len(replies), total, reply)
            waiting.difference_update(reply.metadata.reply_to_message_id for reply in arrived)
            if waiting and not arrived:
                time.sleep(self._poll)
        return replies


def run_on_ray(
    server_app: ServerApp,
    client_app: ClientApp,
    num_clients: int,
    run_config: RunConfig | None,
    workers: int,
    on_reply: OnReply | None,
) -> None:
    """Run a ServerApp on Flower's simulation; see :func:`fairfed.engines.run_apps`.

    Every actor has one CPU (and, by Ray's rule, one OpenMP thread).
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError(RAY_MISSING)
    from flwr.simulation import run_simulation

    silence_telemetry()
    resources = {"num_cpus": 1, "num_gpus": 0.0}
    init = {"num_cpus": workers, "log_to_driver": False, "logging_level": "ERROR"}
    with server_identity(0), _environment(), _without_banner():
        run_simulation(
            _wrapped(server_app, num_clients, run_config or {}, on_reply),
            ConfiguredClientApp(client_app, run_config or {}),
            num_supernodes=num_clients,
            backend_config={"client_resources": resources, "init_args": init},  # type: ignore[dict-item]
        )


def _wrapped(
    server_app: ServerApp, num_clients: int, run_config: RunConfig, on_reply: OnReply | None
) -> ServerApp:
    """Return a ServerApp that starts the other one when all is ready for it."""
    outer = ServerApp()

    @outer.main()
    def main(grid: Grid, context: Context) -> None:
        context.run_config = dict(run_config)
        wait_for_nodes(grid, num_clients, NODE_TIMEOUT)
        observed = grid if on_reply is None else ObservedGrid(grid, on_reply)
        server_app(grid=observed, context=context)

    return outer


@contextmanager
def _environment() -> Iterator[None]:
    """Restore PYTHONPATH (Flower prepends all of sys.path) and keep Ray from phoning home.

    The second variable is the behaviour that Ray announces for its next version; without it, every
    start warns about it.
    """
    settings = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    names = ("PYTHONPATH", *settings)
    former = {name: os.environ.get(name) for name in names}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _without_banner() -> Iterator[None]:
    """Hide the one log record that says that ``run_simulation`` is deprecated."""

    def keep(record: logging.LogRecord) -> bool:
        return "The `run_simulation` function is deprecated" not in record.getMessage()

    flower = logging.getLogger("flwr")
    flower.addFilter(keep)
    try:
        yield
    finally:
        flower.removeFilter(keep)
