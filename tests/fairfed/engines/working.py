"""What runs in a worker process of Ray, in this one."""

from __future__ import annotations

from flwr.app import Message
from flwr.clientapp import ClientApp

from fairfed.engines.inprocess import Handle
from fairfed.engines.node import Node
from fairfed.engines.ray import Worker


def working(app: ClientApp) -> tuple[Handle, list[str]]:
    """Has a worker's code answer in this process; and a list of where clients failed."""
    worker, failures = Worker(b"", ()), []
    vars(worker)["_app"] = app

    def handle(node: Node, request: Message, _: float | None) -> Message:
        reply, node.state, failed = worker.handle(node, request)
        failures.append(failed)
        return reply

    return handle, failures
