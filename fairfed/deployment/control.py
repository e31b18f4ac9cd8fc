"""Which sites there are: their keys in the folder, and the Control API of its own SuperLink."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListNodesResponse,
    RegisterNodeRequest,
    RegisterNodeResponse,
)

from evaluation.files import write_text
from fairfed.config.site import plain_name
from fairfed.deployment.asking import OK, Answer, UnreachableError, ask
from fairfed.deployment.coordinator import Coordinator
from fairfed.deployment.flower_errors import explain
from fairfed.errors import RunError
from fairfed.sites.keys import read_public_key
from generators.writing import explained
from semantic.errors import InputError

IN_USE = 23
"""Flower's code for a key that is registered already."""


def keep_key(place: Coordinator, key: Path, name: str) -> None:
    """Put a site's public key into the folder.

    Raises `InputError` if it is no public key, the name is no site's, the site has another key
    already, or another site has this one.
    """
    try:
        plain_name(name)
    except ValueError as error:
        raise InputError(f"--name {error}") from error
    line = read_public_key(key)
    for known, path in place.known():
        same = read_public_key(path) == line
        if known == name and not same:
            raise InputError(
                f"{path}: {name} has another key there; if it has lost that one: unregister it "
                "(`flwr supernode unregister`), remove the file, and register the new key"
            )
        if known != name and same:
            raise InputError(f"{key}: this is the key of {known}; every site needs its own")
    with explained(place.sites):
        write_text(place.sites / f"{name}.pub", f"{line} {name}\n")


def register(place: Coordinator, name: str) -> str:
    """Tell the SuperLink the key of a site in the folder; what came of it, a line.

    As `flwr supernode register` does. Raises `RunError` if no SuperLink answers, or it does not
    take the key.
    """
    line = read_public_key(place.sites / f"{name}.pub").encode()
    key = serialization.load_ssh_public_key(line).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    answer = _asked(place, "register-node", RegisterNodeRequest(public_key=key, name=name))
    if answer.flower_code == IN_USE:
        return f"{name}: registered already"
    if answer.status != OK:
        raise RunError(f"{name} cannot be registered: {_meaning(answer)}")
    number = RegisterNodeResponse.FromString(answer.body).node_id
    return f"{name}: registered as node {number}"


def register_known(place: Coordinator) -> Iterator[str]:
    """Register all sites whose keys are in the folder; a line for each."""
    for name, _ in place.known():
        yield register(place, name)


def sites(place: Coordinator) -> Iterator[str]:
    """The sites that are registered, a line each: whether they are there."""
    answer = _asked(place, "list-nodes", ListNodesRequest())
    if answer.status != OK:
        raise RunError(f"the SuperLink does not list its sites: {_meaning(answer)}")
    nodes = ListNodesResponse.FromString(answer.body).nodes_info
    for node in sorted(nodes, key=lambda node: str(node.name)):
        if node.status != "unregistered":
            yield f"  {node.name}: {node.status} (node {node.node_id})"


def _asked(place: Coordinator, what: str, request: Any) -> Answer:
    inner = f"127.0.0.1:{place.config.inner_port}"
    authority = place.own_authority.read_text()
    try:
        return ask(inner, authority, f"/v1/control/{what}", request.SerializeToString())
    except UnreachableError as error:
        raise RunError(
            f"the SuperLink does not answer ({error.why}); `fairfed coordinator start "
            f"{place.folder}`"
        ) from error


def _meaning(answer: Answer) -> str:
    said = f"[code: {answer.flower_code}] {answer.body.decode(errors='replace')}"
    return " ".join([*explain(said), f"(HTTP {answer.status}: {said})"])
