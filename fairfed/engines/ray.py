"""Flower's own simulation on Ray, for many cores: the same apps, Flower's scheduler.

``flwr.simulation.run_simulation`` is deprecated and the only way to run app objects on Ray from a
library (``flwr run`` needs a project on disk and a SuperLink). What it leaves to be wished for is
repaired here: the run configuration, the wait for the nodes, errors and progress per client, its
banner, and the ``PYTHONPATH`` that it leaves behind.

A client that raises or exits is an error reply. A client process that *dies* stays in Flower's
pool of actors and fails most messages from then on; that cannot be repaired from outside.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from fairfed.engines import OnReply
from fairfed.engines.forwarding import ForwardingGrid
from fairfed.engines.node import CLIENT_APP_RAISED
from fairfed.engines.nodes import wait_for_nodes
from fairfed.engines.private import server_identity, silence_telemetry
from fairfed.engines.records import fork
from semantic.errors import InputError

RunConfig = Mapping[str, bool | int | float | str]

logger = logging.getLogger("fairfed")

TRACEBACK = "\n--- traceback ---\n"
RAY_MISSING = "engine 'ray' needs Ray, which is not installed: pip install 'fairfed[ray]'"
TOO_MANY = "workers = %d, but there are %d cores: %d work at the same time"
NODE_TIMEOUT = 120.0
"""Seconds to wait for Flower to register its virtual nodes (it takes well under one)."""


class GuardedClientApp(ClientApp):
    """A ClientApp that sees the run configuration and whose failures have a name.

    The simulation shows its clients no run configuration, reports an exception as a page of Ray's
    traceback with process ids in it, and loses a worker to ``sys.exit``. Here both become the
    error reply that the in-process engine and a SuperNode give.

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
        """Run the app with the configuration in a context of its own.

        The simulation refuses a context whose run configuration has changed, and keeps its state.
        """
        own = dataclasses.replace(
            context, run_config=dict(self._run_config), state=fork(context.state)
        )
        try:
            reply = self._inner(message, own)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (travels with its places)
            reason = f"{type(error)}:<'{error}'>{TRACEBACK}{_places(error)}"
            return Message(Error(CLIENT_APP_RAISED, reason), reply_to=message)
        context.state = own.state
        return reply


def _places(error: BaseException) -> str:
    """Return the lines of code that an error came through, and those of what it stands for.

    Not what the errors say, for that may be withheld: see `fairfed.withholding`.
    """
    before = error.__cause__ or error.__context__
    lines = ["Traceback (most recent call last):\n", *traceback.format_tb(error.__traceback__)]
    here = "".join([*lines, type(error).__name__])
    return here if before is None else f"{_places(before)}\n\n{here}"


class InterruptedRunError(RuntimeError):
    """Ends the ServerApp's thread after Ctrl-C; nobody sees it."""


class ObservedGrid(ForwardingGrid):
    """A grid that logs failures and reports every reply as it arrives.

    Parameters
    ----------
    inner : Grid
        The grid that does the work.
    on_reply : callable, optional
        ``on_reply(done, total, reply)``.
    poll : float
        Seconds between two looks for replies.
    stopped : threading.Event, optional
        Set when the run is interrupted: the next look for nodes or replies raises
        `InterruptedRunError`, so that no client counts as failed because it was stopped.
    """

    def __init__(
        self,
        inner: Grid,
        on_reply: OnReply | None,
        poll: float = 0.05,
        stopped: threading.Event | None = None,
    ) -> None:
        super().__init__(inner)
        self._on_reply = on_reply
        self._poll = poll
        self._stopped = stopped or threading.Event()

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise InterruptedRunError

    def get_node_ids(self) -> Iterable[int]:
        """Return the node ids."""
        self._go_on()
        return super().get_node_ids()

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that have arrived; the traceback of an error goes to the log."""
        replies = list(self._inner.pull_messages(message_ids))
        self._go_on()
        for reply in replies:
            if reply.has_error() and TRACEBACK in (reply.error.reason or ""):
                reason, _, details = str(reply.error.reason).partition(TRACEBACK)
                kind = reply.metadata.message_type
                logger.error(
                    "node %d failed on '%s'\n%s", reply.metadata.src_node_id, kind, details
                )
                reply.error = Error(reply.error.code, reason)
        return replies

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
                if self._on_reply is not None:
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

    Every actor has one CPU (and, by Ray's rule, one OpenMP thread), and there are no more of them
    than cores. After Ctrl-C the clients are stopped at once, and the ServerApp at its next look at
    the grid.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError(RAY_MISSING)
    from flwr.simulation import run_simulation

    silence_telemetry()
    stopped = threading.Event()
    app = _wrapped(server_app, num_clients, run_config or {}, on_reply, stopped)
    with server_identity(0), _environment(), _quiet(stopped), _stopping(stopped):
        run_simulation(
            app,
            GuardedClientApp(client_app, run_config or {}),
            num_supernodes=num_clients,
            backend_config=_backend(_capped(workers)),  # type: ignore[arg-type]
        )


def _backend(workers: int) -> dict[str, dict[str, float | str | bool]]:
    return {
        "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        "init_args": {"num_cpus": workers, "log_to_driver": False, "logging_level": "ERROR"},
    }


def _capped(workers: int) -> int:
    """No more workers than there are cores; says so where there are fewer."""
    has = hasattr(os, "sched_getaffinity")
    cores = (len(os.sched_getaffinity(0)) if has else os.cpu_count()) or 1
    if workers > cores:
        logger.warning(TOO_MANY, workers, cores, cores)
    return min(workers, cores)


def _wrapped(
    server_app: ServerApp,
    num_clients: int,
    run_config: RunConfig,
    on_reply: OnReply | None,
    stopped: threading.Event,
) -> ServerApp:
    """Return a ServerApp that starts the other one when all is ready for it."""
    outer = ServerApp()

    @outer.main()
    def main(grid: Grid, context: Context) -> None:
        context.run_config = dict(run_config)
        observed = ObservedGrid(grid, on_reply, stopped=stopped)
        wait_for_nodes(observed, num_clients, NODE_TIMEOUT)
        server_app(grid=observed, context=context)

    return outer


@contextmanager
def _stopping(stopped: threading.Event) -> Iterator[None]:
    """Set the event on Ctrl-C, before anything else happens.

    Flower tears its workers down first, which makes clients fail; a ServerApp that does not know
    why would log their round, or wait for their replies for an hour.
    """
    former = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()  # which gets all signals
    if not in_main or not callable(former):  # a shell's background jobs ignore it
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()
        former(number, frame)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


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
def _quiet(stopped: threading.Event) -> Iterator[None]:
    """Hide that ``run_simulation`` is deprecated, and what an interruption makes fail."""

    def keep(record: logging.LogRecord) -> bool:
        banner = "The `run_simulation` function is deprecated" in record.getMessage()
        return not banner and not stopped.is_set()

    flower = logging.getLogger("flwr")
    flower.addFilter(keep)
    try:
        yield
    finally:
        flower.removeFilter(keep)
