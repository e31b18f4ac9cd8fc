"""Whether a coordinator knows a site's key, asked as a SuperNode asks it."""

from __future__ import annotations

import datetime as dt
from base64 import b64encode
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.common.constant import TIMESTAMP_HEADER
from flwr.proto.fleet_pb2 import ActivateNodeRequest, ActivateNodeResponse, DeactivateNodeRequest
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER

from fairfed.deployment.asking import OK, Answer, UnreachableError, ask
from fairfed.deployment.checks import Clock, Finding, utc_now
from fairfed.deployment.joining import Node
from fairfed.sites.keys import read_private_key

INTERVAL = 30.0
"""Seconds between a SuperNode's signs of life."""
UNKNOWN = 2004
"""Flower's code for a key that is not registered, or whose SuperNode is there."""


class Signer:
    """Signs the time, as Flower's SuperNodes do; `public` is the key in its form."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def headers(self, now: dt.datetime) -> dict[str, str]:
        """Headers of a request."""
        stamp = now.isoformat()
        signature = self._key.sign(stamp.encode(), ec.ECDSA(hashes.SHA256()))
        return {
            FLEET_HTTP_PUBLIC_KEY_HEADER: b64encode(self.public).decode(),
            TIMESTAMP_HEADER: stamp,
            FLEET_HTTP_SIGNATURE_HEADER: b64encode(signature).decode(),
        }


def registered(node: Node, now: Clock = utc_now) -> Finding:
    """Whether the coordinator knows the site's key: signs in, and off again.

    It is not to be asked while the SuperNode runs, which would be signed off.
    """
    address, authority = node.invitation.address, node.invitation.authority
    signer = Signer(read_private_key(node.key))

    def post(path: str, request: Any) -> Answer:
        return ask(
            address, authority, f"/v1/fleet/{path}", request.SerializeToString(),
            signer.headers(now()),
        )  # fmt: skip

    try:
        signing_in = ActivateNodeRequest(public_key=signer.public, heartbeat_interval=INTERVAL)
        answer = post("activate-node", signing_in)
        if answer.status == OK:
            number = ActivateNodeResponse.FromString(answer.body).node_id
            post("deactivate-node", DeactivateNodeRequest(node_id=number))
            return Finding(True, "the coordinator knows the site's key")
    except UnreachableError as error:
        return Finding(False, error.why, error.remedy)
    if answer.flower_code == UNKNOWN:
        return Finding(
            None, "the coordinator does not know the site's key yet",
            f"send it {node.folder / 'key.pub'}, for `fairfed coordinator register`",
        )  # fmt: skip
    return Finding(
        False, f"the coordinator's SuperLink does not answer as it should (HTTP {answer.status})",
        "ask the coordinator: `fairfed coordinator status`",
    )  # fmt: skip
