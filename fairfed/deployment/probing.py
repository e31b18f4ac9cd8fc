"""Trying a coordinator from outside, with nothing but the public certificate of its authority.

Whoever has it (every site does) could command all sites if the SuperLink were reached directly: its
Control API asks nobody who he is. Nothing that is tried here starts anything or stays, should it be
heard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
)
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    RegisterNodeFleetRequest,
    RegisterNodeFleetResponse,
    UnregisterNodeFleetRequest,
)
from flwr.proto.runtime_pb2 import AcquireTaskRequest

from fairfed.deployment.asking import OK, PROTOBUF, Answer, UnreachableError, ask
from fairfed.deployment.checks import utc_now
from fairfed.deployment.greeting import INTERVAL, UNKNOWN, Signer

CLOSED = (403, 404, 405)
"""Statuses by which a proxy turns a request away."""
REGISTERED_ONLY = 2001
"""Flower's code where sites cannot register themselves."""
NOBODY = "@fairfed-check/nobody"
"""A federation that does not exist, and an app."""


@dataclass(frozen=True)
class Attempt:
    """Something that was tried."""

    # In words, and where.
    what: str
    path: str
    seen: str  # what came back
    sound: bool  # whether that is as it must be


def probe(address: str, authority: str) -> Iterator[Attempt]:
    """Try all that must be closed, and the Fleet API, which must be open to registered sites.

    Of ``HOST:PORT``, with the authority's certificate (PEM). Raises `UnreachableError` if nobody
    answers.
    """
    ask(address, authority)
    listing = ListNodesRequest().SerializeToString()
    closed: tuple[tuple[str, str, bytes | None], ...] = (
        ("list the sites", "/v1/control/list-nodes", listing),
        ("list the runs", "/v1/control/list-runs", ListRunsRequest().SerializeToString()),
        (
            "register a site", "/v1/control/register-node",
            # No key, so that none is registered where this is heard.
            RegisterNodeRequest(public_key=b"fairfed coordinator check").SerializeToString(),
        ),
        (
            "start a run", "/v1/control/start-run",
            StartRunRequest(federation=NOBODY).SerializeToString(),
        ),
        # Of no kind of task, so that none is taken from a run.
        ("acquire a task", "/v1/runtime/acquire-task", AcquireTaskRequest().SerializeToString()),
        ("open the docs", "/docs", None),
        ("read the API", "/openapi.json", None),
        ("ask for its health", "/health", None),
        ("list the sites by a detour", "/v1/fleet/../control/list-nodes", listing),
        ("the same, hidden", "/v1/fleet/%2e%2e%2fcontrol/list-nodes", listing),
    )  # fmt: skip
    for what, path, body in closed:
        seen, shut = _tried(address, authority, path, body)
        yield Attempt(what, path, seen, shut)
    yield from _fleet(address, authority)


def _tried(address: str, authority: str, path: str, body: bytes | None) -> tuple[str, bool]:
    """What came back, and whether the SuperLink has not been reached."""
    try:
        answer = ask(address, authority, path, body)
    except UnreachableError as error:
        return error.why, True
    return _seen(answer), answer.status in CLOSED and not _of_flower(answer)


def _of_flower(answer: Answer) -> bool:
    """Whether Flower has answered, and no proxy before it."""
    return answer.kind.startswith((PROTOBUF, "application/json"))


def _seen(answer: Answer) -> str:
    if answer.flower_code is not None:
        return f"HTTP {answer.status}, Flower's code {answer.flower_code}"
    return f"HTTP {answer.status}"


def _fleet(address: str, authority: str) -> Iterator[Attempt]:
    """A stranger with a key of his own must be turned away by the Fleet API itself."""
    signer = Signer(ec.generate_private_key(ec.SECP384R1()))

    def post(path: str, request: Any) -> Answer:
        headers = signer.headers(utc_now())
        return ask(address, authority, path, request.SerializeToString(), headers)

    path = "/v1/fleet/activate-node"
    answer = post(path, ActivateNodeRequest(public_key=signer.public, heartbeat_interval=INTERVAL))
    yield _refused("sign in as an unknown site", path, answer, UNKNOWN)
    path = "/v1/fleet/register-node"
    answer = post(path, RegisterNodeFleetRequest(public_key=signer.public))
    yield _refused("register oneself as a site", path, answer, REGISTERED_ONLY)
    if answer.status == OK:
        number = RegisterNodeFleetResponse.FromString(answer.body).node_id
        post("/v1/fleet/unregister-node", UnregisterNodeFleetRequest(node_id=number))


def _refused(what: str, path: str, answer: Answer, code: int) -> Attempt:
    """Whether Flower has refused, for the reason that it must have."""
    sound = answer.flower_code == code
    return Attempt(what, path, _seen(answer) + (", refused as it must be" if sound else ""), sound)
