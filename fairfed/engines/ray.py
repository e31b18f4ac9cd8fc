"""Clients in worker processes of Ray, for many cores or a cluster.

The grid is the in-process one, so identity, order, states and errors are the same; only the call of
the ClientApp happens in another process, with the client's state sent along. A client whose worker
dies is an error reply, and another worker takes its place.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from queue import Empty, Queue
from types import TracebackType
from typing import Any, Self

from flwr.app import Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fairfed.engines.inprocess import OnReply, RunConfig, run_in_process
from fairfed.engines.node import Node
from fairfed.engines.pool import available_cores
from generators.ray import start_ray

logger = logging.getLogger("fairfed")

TOO_MANY = "workers = %d, but there are %d cores: %d work at the same time"
DIED = "the worker process died; most often a machine out of memory: use fewer workers"
PATIENCE = 10.0
"""Seconds that threads have to notice that their workers were stopped."""


class Worker:
    """What runs in a worker process: any client of a pickled app, one message at a time."""

    def __init__(self, app: bytes, path: Sequence[str]) -> None:
        self._bytes = app
        sys.path.extend(place for place in path if place not in sys.path)

    @cached_property
    def _app(self) -> ClientApp:
        """Not made in the constructor: Ray wraps what a constructor raises beyond recognition."""
        app: ClientApp = pickle.loads(self._bytes)
        return app

    def handle(self, node: Node, request: Message) -> tuple[Message, RecordDict, str]:
        """Return the reply, the client's state, and the lines that a failure came through."""
        app = self._app
        try:
            return node.call(app, request), node.state, ""
        except (Exception, SystemExit) as error:  # noqa: BLE001  (travels with its places)
            return node.refuse(request, error), node.state, places(error)


def places(error: BaseException) -> str:
    """Return the lines of code that an error came through, and those of what it stands for.

    Not what the errors say, for that may be withheld: see `redact_client_errors`.
    """
    before = error.__cause__ or error.__context__
    lines = ["Traceback (most recent call last):\n", *traceback.format_tb(error.__traceback__)]
    here = "".join([*lines, type(error).__name__])
    return here if before is None else f"{places(before)}\n\n{here}"


class Processes:
    """``count`` worker processes with one CPU each; a message goes to whichever is idle."""

    def __init__(self, client_app: ClientApp, count: int) -> None:
        from ray import cloudpickle

        self._app: bytes = cloudpickle.dumps(client_app)  # type: ignore[no-untyped-call]
        self._stopped = False
        self._workers: list[Any] = []
        self._idle: Queue[Any] = Queue()
        for _ in range(count):
            self._idle.put(self._spawn())

    def _spawn(self) -> Any:
        import ray

        kind = ray.remote(Worker).options(num_cpus=1, max_restarts=0)
        worker = kind.remote(self._app, sys.path)
        self._workers.append(worker)
        return worker

    def _replace(self, worker: Any) -> Any:
        import ray

        self._go_on()
        ray.kill(worker)
        self._workers.remove(worker)
        return self._spawn()

    def _go_on(self) -> None:
        """End the thread that asks when the run was interrupted; nobody sees how."""
        if self._stopped:
            raise KeyboardInterrupt

    def handle(self, node: Node, request: Message, deadline: float | None) -> Message | None:
        """Have one message answered, as `Node.handle` does; None if it takes too long.

        A worker that is not done by the deadline is stopped.
        """
        import ray
        from ray.exceptions import GetTimeoutError, RayActorError

        worker = self._idle.get()
        try:
            self._go_on()
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            reply, state, failed = ray.get(worker.handle.remote(node, request), timeout=left)
        except GetTimeoutError:
            worker = self._replace(worker)
            return None
        except RayActorError:
            worker = self._replace(worker)
            reply, state, failed = node.refuse(request, RuntimeError(DIED)), node.state, DIED
        finally:
            self._idle.put(worker)
        node.state = state
        if failed:
            kind = request.metadata.message_type
            logger.error("client %d failed on '%s'\n%s", node.partition_id, kind, failed)
        answer: Message = reply
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the workers, and wait until no thread waits for one: Ray may end only then."""
        import ray

        self._stopped = True
        for worker in self._workers:
            ray.kill(worker)
        with suppress(Empty):
            taken = [self._idle.get(timeout=PATIENCE) for _ in self._workers]
            self._idle.put(taken[0])  # for whoever comes late, to find that all is over


def run_on_ray(
    server_app: ServerApp,
    client_app: ClientApp,
    num_clients: int,
    run_config: RunConfig | None,
    workers: int,
    on_reply: OnReply | None,
) -> None:
    """Run a ServerApp with clients on Ray; see `fairfed.engines.run.run_apps`.

    Connects to the cluster that `RAY_ADDRESS` names, else starts Ray on this machine, with no more
    workers than cores. Ray gives each of them one OpenMP thread.
    """
    count = workers if os.environ.get("RAY_ADDRESS") else _capped(workers)
    ours = start_ray(count)
    import ray

    try:
        with Processes(client_app, count) as processes:
            run_in_process(
                server_app,
                client_app,
                num_clients,
                run_config=run_config,
                workers=count,
                on_reply=on_reply,
                handle=processes.handle,
            )
    finally:
        if ours:
            ray.shutdown()


def _capped(workers: int) -> int:
    """No more workers than there are cores; says so where there are fewer."""
    cores = available_cores()
    if workers > cores:
        logger.warning(TOO_MANY, workers, cores, cores)
    return min(workers, cores)
