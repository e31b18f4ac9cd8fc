"""Receipts: what the coordinator signs of the answers that it got.

A site's ledger says what left; a receipt says that it arrived as it left, so that neither side can
later say otherwise alone. Receipts travel with the coordinator's next request to the site.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flwr.app import ArrayRecord, RecordDict

from fairfed.engines.private import records_to_bytes
from generators.writing import write_new_secret
from semantic.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

RECEIPTS = "receipts"
"""Entry of a request's configuration: texts ``digest:signature``."""
RECEIPT = re.compile(r"[0-9a-f]{64}:[A-Za-z0-9+/]{86}==")
NO_KEY = (
    "{path}: no private key for receipts (Ed25519, as PEM); give the file that the coordinator's "
    "set-up wrote, or remove it to have another made"
)


def digest_of(content: RecordDict) -> str:
    """SHA-256 of a message's content, the same where it is sent and where it arrives."""
    found = sha256()
    for name, record in content.items():
        parts = [name.encode()]
        if isinstance(record, ArrayRecord):  # without a copy of all, which may be large
            for key, array in record.items():
                kind = f"{array.dtype} {tuple(array.shape)} {array.stype}"
                parts += [key.encode(), kind.encode(), array.data]
        else:
            parts.append(records_to_bytes(RecordDict({name: record})))
        for part in parts:
            found.update(f"{len(part)}:".encode())
            found.update(part)
        found.update(b";")
    return found.hexdigest()


def sign(key: Ed25519PrivateKey, site: str, digest: str) -> str:
    """A receipt of an answer: the text that goes back to the site."""
    return f"{digest}:{base64.b64encode(key.sign(_signed(site, digest))).decode()}"


def verify(public_key: str, site: str, digest: str, signature: str) -> bool:
    """Whether a receipt is of this answer of this site, by who has the key to `public_key`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        known = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        known.verify(base64.b64decode(signature, validate=True), _signed(site, digest))
    except (InvalidSignature, ValueError):
        return False
    return True


def _signed(site: str, digest: str) -> bytes:
    return f"fairfed receipt\n{site}\n{digest}".encode()


def to_note(
    texts: Iterable[str], entries: Iterable[Mapping[str, Any]], site: str, key: str | None
) -> Iterator[dict[str, Any]]:
    """What a ledger shall say of receipts that came, a line for each that it does not have.

    Noted are those of answers that it has, and those of others that are signed: then it has lost
    a line. `verified` is None where the site knows no key.
    """
    texts = list(dict.fromkeys(texts))
    marks = {text.partition(":")[0] for text in texts}
    answers, noted = set(), set()
    for entry in entries:
        if entry.get("digest") in marks:
            answers.add(entry["digest"])
        elif entry.get("receipt") in marks:
            noted.add(f"{entry['receipt']}:{entry['signature']}")
    for text in texts:
        digest, _, signature = text.partition(":")
        if text in noted or not RECEIPT.fullmatch(text):
            continue
        verified = None if key is None else verify(key, site, digest, signature)
        if verified or digest in answers:
            yield {"receipt": digest, "signature": signature, "verified": verified}


def signing_key(path: Path) -> Ed25519PrivateKey:
    """The coordinator's key, made where there is none yet; nobody else may read its file."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not path.exists():
        made = Ed25519PrivateKey.generate()
        text = made.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        write_new_secret(path, text)
        return made
    try:
        found = form.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(NO_KEY.format(path=path)) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise InputError(NO_KEY.format(path=path))
    return found


def public_text(key: Ed25519PrivateKey) -> str:
    """What sites write as `coordinator.receipts_key`."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


class Receipts:
    """What the coordinator owes its sites; `path` is of the signing key (`signing_key`).

    A receipt is given again until the site has answered a request that brought it.
    """

    def __init__(self, path: Path) -> None:
        self._key = signing_key(path)
        self._owed: dict[str, list[str]] = {}
        self._given: dict[str, list[str]] = {}

    def texts(self, site: str) -> list[str]:
        """Receipts to send with the next request to a site, as entry `RECEIPTS`."""
        self._given[site] = list(self._owed.get(site, ()))
        return self._given[site]

    def got(self, site: str, content: RecordDict) -> None:
        """Take note of a site's answer: it has got what it was given, and gets one for this."""
        given = set(self._given.pop(site, ()))
        owed = [text for text in self._owed.get(site, ()) if text not in given]
        self._owed[site] = [*owed, sign(self._key, site, digest_of(content))]
