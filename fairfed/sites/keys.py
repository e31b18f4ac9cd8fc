"""The keys of sites, the files that they are in, and what sites sign with them for each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fairfed.config.site import SiteConfig
from generators.writing import write_new_secret
from semantic.errors import InputError

UNKNOWN_PEER = (
    "peers: {name} takes part in the sum, and this site does not know its key; have the line of "
    "that site's `fairfed site join` sent to you, not through the coordinator, and add it to "
    "[peers] of site.toml"
)
FORGED = (
    "the key for this sum that the coordinator has passed on is not signed by {name} (peers of "
    "site.toml): it may be the coordinator's own. Nothing was sent; ask {name}"
)

NO_KEY = (
    "{path}: no public key of a site ({reason}); expected the line that `fairfed site join` "
    "prints, 'ecdsa-sha2-nistp384 …'"
)


def key_file(config: SiteConfig) -> Path:
    """The private half of a site's key."""
    return Path(config.state.directory) / "connection" / "key"


@dataclass(frozen=True)
class Identity:
    """A site among others, whom it knows by their public keys.

    Attributes
    ----------
    key
        File of its private key.
    peers
        Public keys by name, as `fairfed site join` prints them.
    """

    key: Path
    peers: Mapping[str, str]

    def sign(self, text: bytes) -> bytes:
        """Sign a text (ECDSA with SHA-384).

        Raises
        ------
        InputError
            If the site has no key.
        """
        return read_private_key(self.key).sign(text, ec.ECDSA(hashes.SHA384()))

    def verify(self, name: str, text: bytes, signature: bytes) -> None:
        """Refuse a text that another site has not signed (`InputError`)."""
        if name not in self.peers:
            raise InputError(UNKNOWN_PEER.format(name=name))
        key = _public_key(self.peers[name].encode(), f"peers.{name}")
        try:
            key.verify(signature, text, ec.ECDSA(hashes.SHA384()))
        except InvalidSignature:
            raise InputError(FORGED.format(name=name)) from None


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
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; `fairfed site join` makes the site's key"
        ) from None
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
    key = _public_key(content, path)
    line = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line.decode()


def _public_key(content: bytes, where: Path | str) -> ec.EllipticCurvePublicKey:
    """A public key in OpenSSH's format; `InputError` names where there is none."""
    try:
        key = serialization.load_ssh_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(NO_KEY.format(path=where, reason=error)) from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InputError(NO_KEY.format(path=where, reason="a key of another kind"))
    return key
