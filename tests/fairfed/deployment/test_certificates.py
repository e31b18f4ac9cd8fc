"""Certificates: whom they convince, and which of an institution are refused before a site sees."""

from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path

import pytest
from cryptography.x509 import DNSName
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from fairfed.deployment.certificates import (
    Pair,
    fingerprint,
    institution_pair,
    make_authority,
    make_server,
    parsed,
)
from fairfed.sites.keys import make_site_key, read_public_key
from generators.writing import write_new_secret
from semantic.errors import InputError

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def verify(authority: Pair, server: Pair, name: str) -> None:
    store = Store([parsed(authority.certificate)])
    verifier = PolicyBuilder().store(store).build_server_verifier(DNSName(name))
    verifier.verify(parsed(server.certificate), [])


@pytest.mark.parametrize("name", ["hub.example.org", "localhost"])
def test_a_server_is_trusted_by_its_names(authority: Pair, name: str) -> None:
    verify(authority, make_server(authority, ["hub.example.org"]), name)


def test_a_server_is_trusted_by_no_other_name_and_no_other_authority(authority: Pair) -> None:
    server = make_server(authority, ["hub.example.org"])
    with pytest.raises(VerificationError):
        verify(authority, server, "other.example.org")
    with pytest.raises(VerificationError):
        verify(make_authority("test"), server, "hub.example.org")


def test_a_server_s_certificate_ends_when_it_says(authority: Pair) -> None:
    assert make_server(authority, ["x"], days=30, now=LONG_AGO).until == dt.datetime(
        2020, 1, 31, tzinfo=dt.UTC
    )


def test_a_fingerprint_is_read_out_in_pairs(authority: Pair) -> None:
    pairs = fingerprint(authority.certificate).split(":")
    assert len(pairs) == 32
    assert all(len(pair) == 2 for pair in pairs)


@pytest.fixture
def files(authority: Pair, tmp_path: Path) -> tuple[Path, Path, Path]:
    made = make_server(authority, ["hub.example.org"])
    content = {"crt": made.certificate, "key": made.key, "ca": authority.certificate}
    for name, text in content.items():
        (tmp_path / name).write_bytes(text)
    return tmp_path / "crt", tmp_path / "key", tmp_path / "ca"


def test_an_institution_s_certificate_is_taken(files: tuple[Path, Path, Path]) -> None:
    pair, authority = institution_pair(*files, "hub.example.org")
    assert pair.certificate == files[0].read_bytes()
    assert authority == files[2].read_bytes()


def test_an_institution_s_certificate_for_another_address_is_refused(
    files: tuple[Path, Path, Path],
) -> None:
    with pytest.raises(InputError, match="must name hub2.example.org as a subject alternative"):
        institution_pair(*files, "hub2.example.org")


def test_an_institution_s_expired_certificate_is_refused(
    files: tuple[Path, Path, Path], authority: Pair
) -> None:
    old = make_server(authority, ["hub.example.org"], days=30, now=LONG_AGO)
    files[0].write_bytes(old.certificate)
    files[1].write_bytes(old.key)
    with pytest.raises(InputError, match="be valid now"):
        institution_pair(*files, "hub.example.org")


def test_an_institution_s_key_must_be_its_certificate_s(
    files: tuple[Path, Path, Path], authority: Pair
) -> None:
    files[1].write_bytes(make_server(authority, ["hub.example.org"]).key)
    with pytest.raises(InputError, match="not the key of --certificate"):
        institution_pair(*files, "hub.example.org")


def test_files_that_are_no_pem_are_named(files: tuple[Path, Path, Path]) -> None:
    files[2].write_text("nothing")
    with pytest.raises(InputError, match=r"ca: no certificates in PEM"):
        institution_pair(*files, "hub.example.org")


def test_a_secret_is_its_owner_s_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    write_new_secret(path, b"1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_new_secret(path, b"2")
    assert path.read_bytes() == b"1"


def test_a_site_s_key_is_made_once(tmp_path: Path) -> None:
    first = make_site_key(tmp_path / "key", "north")
    assert first.startswith("ecdsa-sha2-nistp384 ")
    assert first.endswith(" north\n")
    assert make_site_key(tmp_path / "key", "north") == first
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_private_key_is_not_taken_for_a_public_one(tmp_path: Path) -> None:
    make_site_key(tmp_path / "key", "north")
    with pytest.raises(InputError, match="private key; it must not leave its site"):
        read_public_key(tmp_path / "key")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq6vTcgRk2jTcNzqT4bbWGvX1n0yCVTk8vYwbeWXP0u",
    ],
)
def test_what_is_no_site_s_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.pub").write_text(text)
    with pytest.raises(InputError, match=r"x.pub: no public key of a site"):
        read_public_key(tmp_path / "x.pub")
