"""Asking a coordinator over TLS, and what its answers or its silence mean."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from cryptography import x509

OK = 200
PROTOBUF = "application/protobuf"
TIMEOUT = 15.0
MOST_BODY = 65_536

EXPIRED, NOT_YET, WRONG_HOST, WRONG_IP = 10, 9, 62, 64
"""OpenSSL's reasons for refusing a certificate."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    # HTTP status, the beginning of the body, its media type.
    status: int
    body: bytes
    kind: str
    date: dt.datetime | None  # the coordinator's clock; None where it does not say
    until: dt.datetime  # last moment of its certificate

    @property
    def flower_code(self) -> int | None:
        """The code of an error of Flower's; None where the answer is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        code = found.get("code") if isinstance(found, dict) else None
        return code if isinstance(code, int) else None


class UnreachableError(Exception):
    """Nobody `answers`, or one who is not the coordinator: why, and what to do."""

    def __init__(self, why: str, remedy: str, answers: bool = False) -> None:
        super().__init__(f"{why}; {remedy}")
        self.why, self.remedy, self.answers = why, remedy, answers


def parts(address: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``."""
    host, _, port = address.rpartition(":")
    return host, int(port)


def ask(
    address: str, authority: str, path: str = "/", body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:  # fmt: skip
    """Send a request to ``HOST:PORT``; the path goes out as it is written.

    No certificate is trusted but that of the authority (PEM). A body is posted as Flower's messages
    are. Raises `UnreachableError` if nobody answers, or its certificate is not good.
    """
    host, port = parts(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority)
    connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)
    try:
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        seen = x509.load_der_x509_certificate(connection.sock.getpeercert(True) or b"")
        media = {"Content-Type": PROTOBUF, "Accept": PROTOBUF} if body is not None else {}
        connection.request(
            "GET" if body is None else "POST", path, body, {**media, **(headers or {})}
        )
        reply = connection.getresponse()
        said = reply.getheader("Date")
        return Answer(
            reply.status, reply.read(MOST_BODY), reply.getheader("Content-Type") or "",
            parsedate_to_datetime(said) if said else None, seen.not_valid_after_utc,
        )  # fmt: skip
    except ssl.SSLCertVerificationError as error:
        raise _distrusted(address, host, error) from error
    except ssl.SSLError as error:
        raise UnreachableError(
            f"{address} does not speak TLS as expected ({error.reason or error})",
            "ask the coordinator whether the port is its proxy's, and your network's people "
            "whether something on the way opens TLS",
            answers=True,
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise _silent(address, error) from error
    finally:
        connection.close()


def _distrusted(address: str, host: str, error: ssl.SSLCertVerificationError) -> UnreachableError:
    """Why a certificate is refused, and what to do."""
    ask_for = "ask the coordinator for"
    if error.verify_code == EXPIRED:
        until = _last_moment(address)
        when = f" on {until:%Y-%m-%d}" if until else ""
        why = f"the coordinator's certificate has expired{when}"
        remedy = (
            f"{ask_for} a new one (`fairfed coordinator renew`); check this machine's date, too"
        )
    elif error.verify_code == NOT_YET:
        why = "the coordinator's certificate is not valid yet"
        remedy = "check this machine's date"
    elif error.verify_code in (WRONG_HOST, WRONG_IP):
        why = f"the certificate at {address} is not made out to {host}"
        remedy = f"{ask_for} an invitation with the address that its certificate names"
    else:
        why = (
            f"the certificate at {address} is not of the authority that you trust "
            f"({error.verify_message})"
        )
        remedy = (
            f"{ask_for} a new invitation; if its authority has not changed, something on the way "
            "opens TLS: your network's people know"
        )
    return UnreachableError(why, remedy, answers=True)


def _last_moment(address: str) -> dt.datetime | None:
    """When a certificate ends that is not trusted any more."""
    try:
        pem = ssl.get_server_certificate(parts(address), timeout=TIMEOUT)
    except OSError:
        return None
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc


def _silent(address: str, error: Exception) -> UnreachableError:
    """Why nobody answers, and what to do."""
    host, port = parts(address)
    if isinstance(error, socket.gaierror):
        return UnreachableError(
            f"{host} has no address here", "check the name, and this machine's DNS"
        )
    if isinstance(error, ConnectionRefusedError):
        return UnreachableError(
            f"nobody listens at {address}", "ask the coordinator whether its proxy runs"
        )
    if isinstance(error, TimeoutError):
        return UnreachableError(
            f"{address} does not answer",
            f"ask your network's people to let this machine reach {host}, TCP port {port}",
        )
    return UnreachableError(
        f"{address} breaks off ({error})", "ask the coordinator whether its proxy runs"
    )
