"""Certificates: an authority of the coordinator's own, its server's certificate, an institution's.

Sites trust the one authority of their invitation and no other, so that neither a public authority
nor a key of the operating system can speak for the coordinator.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from semantic.errors import InputError

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397
"""What browsers accept at most; a new one comes from the same authority (`coordinator renew`)."""
LOOPBACK = ("localhost", "127.0.0.1")
"""Names by which programs on the coordinator's machine reach the SuperLink."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes

    @property
    def until(self) -> dt.datetime:
        """Its last moment, UTC."""
        return parsed(self.certificate).not_valid_after_utc


def parsed(pem: bytes) -> x509.Certificate:
    """The first certificate of a PEM text."""
    return x509.load_pem_x509_certificate(pem)


def fingerprint(pem: bytes) -> str:
    """SHA-256 of a certificate, in pairs of digits, to be compared by telephone."""
    return parsed(pem).fingerprint(hashes.SHA256()).hex(":").upper()


def make_authority(name: str) -> Pair:
    """A new certificate authority, which signs no other authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"fairfed {name}"[:64])])
    made = (
        _builder(subject, subject, key.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(made.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def make_server(
    authority: Pair, names: Sequence[str], days: int = SERVER_DAYS, now: dt.datetime | None = None
) -> Pair:
    """A server's certificate, signed by an authority.

    It is good for the DNS names and IP addresses given, and for this machine's own; from `now` on,
    or from this moment.
    """
    signer = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # `make_authority` makes no other
    key, issuer = ec.generate_private_key(ec.SECP256R1()), parsed(authority.certificate)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    all_names = dict.fromkeys((*names, *LOOPBACK))
    made = (
        _builder(subject, issuer.subject, key.public_key(), days, now)
        .add_extension(
            x509.SubjectAlternativeName([_general_name(n) for n in all_names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    return Pair(made.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int,
    now: dt.datetime | None = None,
) -> x509.CertificateBuilder:  # fmt: skip
    """A certificate from an hour ago on, for clocks that are a little slow."""
    start = now or dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=signs_certificates,
        crl_sign=signs_certificates, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def institution_pair(
    certificate: Path, key: Path, authority: Path, address: str
) -> tuple[Pair, bytes]:
    """An institution's certificate with its key, and the authority that sites shall trust.

    Raises `InputError` if a file cannot be read, they do not belong together, the certificate is
    not good for the address, or not now.
    """
    content = {path: _read(path) for path in (certificate, key, authority)}
    chain = _certificates(certificate, content[certificate])
    roots = _certificates(authority, content[authority])
    try:
        private = serialization.load_pem_private_key(content[key], None)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"--key {key}: no private key in PEM without a password ({error})"
        ) from error
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    own = private.public_key().public_bytes(serialization.Encoding.DER, form)
    if own != chain[0].public_key().public_bytes(serialization.Encoding.DER, form):
        raise InputError(f"--key {key}: not the key of --certificate {certificate}")
    subject = _general_name(address)
    assert isinstance(subject, x509.DNSName | x509.IPAddress)
    verifier = PolicyBuilder().store(Store(roots)).build_server_verifier(subject)
    try:
        verifier.verify(chain[0], chain[1:])
    except VerificationError as error:
        raise InputError(
            f"--certificate {certificate}: sites that trust --ca {authority} would refuse it at "
            f"{address} ({error}); it must name {address} as a subject alternative name, be valid "
            "now, and be followed in its file by the certificates between it and the authority"
        ) from error
    return Pair(content[certificate], content[key]), content[authority]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _certificates(path: Path, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise InputError(f"{path}: no certificates in PEM ({error})") from error
