"""The only module that touches names of Flower that are not public (seen in flwr 1.41).

Flower's own grids set the id of a message through ``metadata.__dict__``, and since 1.37 ``Message``
takes its sender from a process-global ``TaskIdentity``. An engine of our own can do neither
through public names. Everything of that kind is here, so that a new Flower breaks one file.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flwr.app import Message, RecordDict
from flwr.common.serde import (
    message_from_proto,
    message_to_proto,
    recorddict_from_proto,
    recorddict_to_proto,
)
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.proto.recorddict_pb2 import RecordDict as ProtoRecordDict
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.grid.inmemory_grid import InMemoryGrid as SimulationGrid
from google.protobuf.message import DecodeError

SERVER_NODE_ID = 1
"""The node id of the server side, as in Flower's SuperLink."""

_running = threading.Lock()

__all__ = [
    "SERVER_NODE_ID",
    "Run",
    "SimulationGrid",
    "empty_run",
    "message_from_bytes",
    "message_to_bytes",
    "over_the_wire",
    "readdress",
    "records_from_bytes",
    "records_to_bytes",
    "server_identity",
    "stamp",
    "with_content",
]


@contextmanager
def server_identity(run_id: int) -> Iterator[None]:
    """Be the server of a run in the block; `RuntimeError` while another engine here is."""
    if not _running.acquire(blocking=False):
        raise RuntimeError(
            "another federation is running in this process: Flower keeps the identity of a run in "
            "a global, so run one after the other or use another process"
        )
    names = ("_task_id", "_run_id", "_node_id")
    former = [getattr(TaskIdentity, name) for name in names]
    try:
        for name, value in zip(names, (1, run_id, SERVER_NODE_ID), strict=True):
            setattr(TaskIdentity, name, value)
        yield
    finally:
        for name, value in zip(names, former, strict=True):
            setattr(TaskIdentity, name, value)
        _running.release()


def stamp(message: Message, message_id: str, run_id: int) -> None:
    """Give a message its id and its run, as a SuperLink does on arrival."""
    message.metadata.__dict__.update(_message_id=message_id, _run_id=run_id)


def readdress(reply: Message, request: Message) -> None:
    """Make a reply answer another request than the one that was sent in its place."""
    asked = request.metadata
    reply.metadata.__dict__.update(
        _reply_to_message_id=asked.message_id, _src_node_id=asked.dst_node_id
    )


def with_content(message: Message, content: RecordDict) -> Message:
    """Return a message with a copy of the same metadata and other content."""
    return Message(content=content, metadata=copy.copy(message.metadata))  # type: ignore[call-overload,no-any-return]


def message_to_bytes(message: Message) -> bytes:
    """Serialise a message; `ValueError` or `TypeError` if it cannot be (integers over 64 bits)."""
    return bytes(message_to_proto(message).SerializeToString())


def message_from_bytes(data: bytes) -> Message:
    """Read what :func:`message_to_bytes` wrote."""
    return message_from_proto(ProtoMessage.FromString(data))


def over_the_wire(message: Message) -> Message:
    """Serialise a message to bytes and read it back; errors as :func:`message_to_bytes`."""
    return message_from_bytes(message_to_bytes(message))


def records_to_bytes(records: RecordDict) -> bytes:
    """Serialise records (the state of a client) for a checkpoint."""
    return bytes(recorddict_to_proto(records).SerializeToString(deterministic=True))


def records_from_bytes(data: bytes) -> RecordDict:
    """Read what :func:`records_to_bytes` wrote; `ValueError` if it is something else."""
    try:
        return recorddict_from_proto(ProtoRecordDict.FromString(data))
    except DecodeError as error:
        raise ValueError(str(error)) from error


def empty_run(run_id: int) -> Run:
    """Return a run with an id and nothing else."""
    return Run.create_empty(run_id=run_id)
