"""What a site is told of its connection, against servers with TLS in this process."""

from __future__ import annotations

import datetime as dt
import socket
import threading

import pytest

from fairfed.deployment import certificates
from fairfed.deployment.asking import Answer
from fairfed.deployment.certificates import Pair, make_authority, make_server
from fairfed.deployment.checks import connection, same_time, same_versions
from fairfed.deployment.invitation import Invitation, text_fingerprint
from fairfed.deployment.programs import versions
from tests.fairfed.deployment.conftest import STUDY, Serve

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
HOUR = 3600.0


def invitation(address: str, authority: Pair, **changed: str) -> Invitation:
    told = {
        "name": "a", "address": address, "fingerprint": text_fingerprint(STUDY), "study": STUDY,
        "authority": authority.certificate.decode(), **versions(),
    }  # fmt: skip
    return Invitation.model_validate(told | changed)


def said(address: str, authority: Pair) -> str:
    return "\n".join(map(str, connection(invitation(address, authority))))


def test_a_sound_connection_is_two_ticks(serve: Serve, authority: Pair) -> None:
    told = said(serve(), authority)
    assert told.count("✓") == 2
    assert "✗" not in told


def test_a_certificate_that_ends_soon_is_told_of(serve: Serve, authority: Pair) -> None:
    told = said(serve(make_server(authority, ["127.0.0.1"], days=10)), authority)
    assert "✗" not in told
    assert "only 9 days left" in told


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        (-HOUR, "this machine's clock is 60 minutes ahead of the coordinator's"),
        (HOUR, "this machine's clock is 60 minutes behind the coordinator's"),
        (-30.0, "seconds ahead"),
        (49 * HOUR, "2 days behind"),
    ],
)
def test_a_clock_that_is_off_is_refused(
    serve: Serve, authority: Pair, ahead: float, told: str
) -> None:
    found = said(serve(seconds_ahead=ahead), authority)
    assert "✗ this machine's clock" in found
    assert told in found
    assert "timedatectl" in found


@pytest.mark.parametrize(("ahead", "holds"), [(0, True), (5, True), (7, False), (-300, True),
                                              (-306, False)])  # fmt: skip
def test_the_clock_may_be_as_far_off_as_flower_lets_it(ahead: float, holds: bool) -> None:
    answer = Answer(404, b"", "", LONG_AGO, LONG_AGO)
    assert same_time(answer, LONG_AGO + dt.timedelta(seconds=ahead)).holds is holds


def test_an_expired_certificate_is_told_with_its_day(serve: Serve, authority: Pair) -> None:
    told = said(serve(make_server(authority, ["127.0.0.1"], days=31, now=LONG_AGO)), authority)
    assert "✗ the coordinator's certificate has expired on 2020-02-01" in told
    assert "fairfed coordinator renew" in told


def test_a_certificate_of_tomorrow_points_at_the_date(serve: Serve, authority: Pair) -> None:
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    told = said(serve(make_server(authority, ["127.0.0.1"], now=tomorrow)), authority)
    assert "✗ the coordinator's certificate is not valid yet" in told


def test_another_authority_is_not_trusted(serve: Serve) -> None:
    told = said(serve(), make_authority("other"))
    assert "is not of the authority that you trust" in told
    assert "something on the way opens TLS" in told


def test_a_certificate_of_another_host_is_refused(
    serve: Serve, authority: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "LOOPBACK", ())
    told = said(serve(make_server(authority, ["hub.example.org"])), authority)
    assert "is not made out to 127.0.0.1" in told


def test_a_port_where_nobody_listens(authority: Pair) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening: nobody else gets it
        told = said(f"127.0.0.1:{taken.getsockname()[1]}", authority)
    assert "✗ nobody listens at" in told
    assert "ask the coordinator whether its proxy runs" in told


def test_a_server_that_speaks_no_tls(authority: Pair) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as client:
                client.recv(1024)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        told = said(f"127.0.0.1:{listener.getsockname()[1]}", authority)
        thread.join()
    assert "does not speak TLS as expected" in told


def test_other_versions_are_told_with_the_command_that_helps(authority: Pair) -> None:
    asked = invitation("h:1", authority, flwr="1.40.9")
    told = [str(finding) for finding in same_versions(asked)]
    assert told[0] == f"✓ fairfed {versions()['fairfed']}, as the coordinator"
    assert told[1].startswith(f"✗ flwr is {versions()['flwr']} here, and 1.40.9 at the coordinator")
    assert "pip install flwr==1.40.9" in told[1]
