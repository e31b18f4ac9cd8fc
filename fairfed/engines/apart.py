"""Every client in a process of its own: what it has, no other process needs to be able to read."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from fairfed.engines.private import (
    message_from_bytes,
    message_to_bytes,
    records_from_bytes,
    records_to_bytes,
    server_identity,
)

PRELOADED = "torch", "diffusers", "open_clip", "flwr.clientapp"
"""What takes longest to import; every client's process begins with it."""
GRACE = 10.0
"""Seconds that a client's process has to end by itself."""
ENDED = "the process of client {client} has ended; its log says why"


class ClientsApart(ClientApp):
    """A ClientApp whose clients each have a process; it hands messages over and back.

    A process is started with the client's first message. It is forked from one that has imported
    what clients need, and nothing else: it is no copy of this one, and has nothing of it open.
    `factory` (``module:function``) makes a client's app of its argument, which is pickled for its
    process; there is one for each client, by partition id.
    """

    def __init__(self, factory: str, arguments: Sequence[Any]) -> None:
        super().__init__()
        self._factory, self._arguments = factory, tuple(arguments)
        self._clients: dict[int, _Apart] = {}
        self._lock = threading.Lock()

    def __call__(self, message: Message, context: Context) -> Message:
        """The client's answer; what it raised is raised here."""
        number = int(context.node_config["partition-id"])
        with self._lock:
            if number not in self._clients:
                self._clients[number] = _Apart(self._factory, self._arguments[number])
            client = self._clients[number]
        try:
            return client.ask(message, context)
        except (EOFError, OSError) as error:  # gone before it answered, or before it was asked
            with self._lock:
                self._clients.pop(number).close()
            raise RuntimeError(ENDED.format(client=number)) from error

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def __enter__(self) -> ClientsApart:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the processes."""
        self.close()


class _Apart:
    """One client's process, seen from here."""

    def __init__(self, factory: str, argument: Any) -> None:
        clean = multiprocessing.get_context("forkserver")
        clean.set_forkserver_preload([*PRELOADED, factory.partition(":")[0]])
        self._here, there = clean.Pipe()
        self._process = clean.Process(target=_serve, args=(there, factory, argument), daemon=True)
        self._process.start()
        there.close()

    def ask(self, message: Message, context: Context) -> Message:
        """Hand a message over, and wait for the answer."""
        asked = dict(context.node_config), dict(context.run_config)
        state = records_to_bytes(context.state)
        self._here.send((message_to_bytes(message), context.run_id, context.node_id, asked, state))
        answer, found = self._here.recv()
        if isinstance(answer, BaseException):
            raise answer
        context.state = records_from_bytes(found)
        return message_from_bytes(answer)

    def close(self) -> None:
        """End the process: it ends by itself when nobody can ask it any more."""
        self._here.close()
        self._process.join(GRACE)
        self._process.terminate()
        self._process.join()


def _serve(connection: Connection, factory: str, argument: Any) -> None:
    """Answer as one client until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's, who ends this process
    module, name = factory.split(":")
    make: Callable[[Any], ClientApp] = getattr(import_module(module), name)
    app = make(argument)
    with suppress(EOFError, OSError):  # the other side is gone
        while True:
            connection.send(_answered(app, *connection.recv()))


def _answered(
    app: ClientApp, message: bytes, run_id: int, node_id: int, asked: Any, state: bytes
) -> tuple[bytes | Exception, bytes]:
    """The answer and the new state; or what the app raised, to be raised where it was asked for."""
    node, run = asked
    context = Context(
        run_id=run_id,
        node_id=node_id,
        node_config=node,
        state=records_from_bytes(state),
        run_config=run,
    )
    try:
        with server_identity(run_id):  # Flower's Message asks who sends it
            reply = app(message_from_bytes(message), context)
            return message_to_bytes(reply), records_to_bytes(context.state)
    except Exception as error:  # noqa: BLE001
        return error, b""
