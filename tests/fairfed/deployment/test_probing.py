"""`fairfed coordinator check` against servers that answer as Flower's and a proxy do."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fairfed.deployment.certificates import Pair
from tests.fairfed.deployment.conftest import Command, Reply, Serve

FLEET = {
    "/v1/fleet/activate-node": (412, "application/json", b'{"code": 2004, "detail": "no"}'),
    "/v1/fleet/register-node": (412, "application/json", b'{"code": 2001, "detail": "no"}'),
}
NOTHING = (404, "text/html", b"<html>")


def proxy(**opened: tuple[int, str, bytes]) -> Reply:
    """A proxy that lets the Fleet API through, and what else is opened."""
    paths = {f"/{path}": answer for path, answer in opened.items()}
    return lambda method, path: (FLEET | paths).get(path, NOTHING)


@pytest.fixture
def ca(authority: Pair, tmp_path: Path) -> Path:
    (tmp_path / "ca.crt").write_bytes(authority.certificate)
    return tmp_path / "ca.crt"


def test_a_closed_one_passes(fairfed: Command, serve: Serve, ca: Path) -> None:
    code, said, _ = fairfed("coordinator", "check", serve(reply=proxy()), "--ca", ca)
    assert code == 0
    assert "Closed:" in said
    assert "✗" not in said


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("v1/control/list-nodes", (200, "application/protobuf", b"")),
        ("v1/control/start-run", (404, "application/json", b'{"code": 2, "detail": "no"}')),
        ("v1/control/register-node", (412, "application/json", b'{"code": 22, "detail": "no"}')),
        ("v1/runtime/acquire-task", (401, "application/json", b'{"code": 1008, "detail": "no"}')),
        ("v1/runtime/acquire-task", (502, "text/html", b"<html>")),
        ("docs", (200, "text/html", b"<html>")),
        ("v1/fleet/register-node", (200, "application/protobuf", b"")),
        ("v1/fleet/activate-node", NOTHING),
    ],
)
def test_anything_that_is_open_fails_loudly(
    fairfed: Command, serve: Serve, ca: Path, path: str, answer: tuple[int, str, bytes]
) -> None:
    address = serve(reply=proxy(**{path: answer}))
    code, said, _ = fairfed("coordinator", "check", address, "--ca", ca)
    assert code == 1
    assert said.count("✗") == 1
    assert "OPEN: whoever has the certificate" in said


def test_nobody_there_is_neither(fairfed: Command, ca: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said, wrong = fairfed("coordinator", "check", address, "--ca", ca)
    assert (code, said) == (2, "")
    assert "nobody listens at" in wrong
