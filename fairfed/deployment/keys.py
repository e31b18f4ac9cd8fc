"""The keys of sites, and the files that they are in."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from generators.writing import write_new_secret
from semantic.errors import InputError

NO_KEY = (
    "{path}: no public key of a site ({reason}); expected the line that `fairfed site join` "
    "prints, 'ecdsa-sha2-nistp384 …'"
)


def make_site_key(private: Path, name: str) -> str:
    """Make a site's key pair, or keep the one that is there; the public half, a line.

    Flower wants ECDSA over a NIST curve in OpenSSH's format. The site's name is the comment of the
    public half. Raises `InputError` if the file that is there is no such key.
    """
    if private.exists():
        key = read_private_key(private)
    else:
        key = ec.generate_private_key(ec.SECP384R1())
        write_new_secret(
            private,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            ),
        )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return f"{public.decode()} {name}\n"


def read_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A site's own key; `InputError` if the file holds none."""
    try:
        key = serialization.load_ssh_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(
            f"{path}: no private key in OpenSSH's format ({error}); move it away, and join again: "
            "the new key has to be registered by the coordinator"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InputError(f"{path}: a key of another kind; move it away, and join again")
    return key


def read_public_key(path: Path) -> str:
    """The public half of a site's key, a line of OpenSSH without a comment.

    Raises `InputError` if the file is not there, holds another kind of key, or a private one.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the public key that a site sent") from None
    if b"PRIVATE KEY" in content:
        raise InputError(
            f"{path}: this is a private key; it must not leave its site, which has to make a new "
            "one now: move the file away there, `fairfed site join` again, and send the .pub"
        )
    try:
        key = serialization.load_ssh_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(NO_KEY.format(path=path, reason=error)) from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InputError(NO_KEY.format(path=path, reason="a key of another kind"))
    line = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line.decode()
