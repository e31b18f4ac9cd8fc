"""Masks that cancel in a sum: pairwise ones, and one of each site's own.

The protocol is that of Bonawitz et al. (CCS 2017), with signed keys. Every pair of sites agrees on
a secret (X25519), from which both draw the same keystream (HKDF-SHA256, AES-256 in counter mode):
one adds it to its summand, the other subtracts it. Each adds a keystream of its own besides. The
seeds of all masks are shared out among the sites (Shamir), so that a sum over those who answered
can be opened by `needed` of them: of a site in the sum its own mask, of one that was lost its
pairwise masks, and never both.

Everything here is a composition of the primitives of `cryptography` and pycryptodome; random
numbers are the operating system's.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fairfed.privacy.fixed_point import Words

KEY, HALF = 32, 16
"""Bytes of a secret, and of what Shamir's scheme shares at once."""
PUBLIC = 3 * KEY
"""Bytes of what a site makes known for a sum."""
BLOCK = 1 << 20
"""Words of a keystream that are drawn at once."""
NOT_OPENED = "a share from {name} for {own} does not open: another key, or changed on its way"
OTHER_SEED = "the shares of the seed of {name} give another one than it has made known"
TOO_FEW = "{found} shares of the seed of {name}, and {needed} are needed"


@dataclass(frozen=True)
class Secrets:
    """What a site draws for one sum, and keeps until the sum is open.

    Attributes
    ----------
    pairing
        Private key of the pairwise masks.
    sharing
        Private key under which shares are encrypted.
    own
        Seed of its own mask.
    """

    pairing: bytes
    sharing: bytes
    own: bytes

    @classmethod
    def draw(cls) -> Secrets:
        """New ones."""
        pairing, sharing = (X25519PrivateKey.generate().private_bytes_raw() for _ in range(2))
        return cls(pairing, sharing, os.urandom(KEY))

    @property
    def public(self) -> bytes:
        """What the others are told: both public keys, and a hash of the seed, which binds it."""
        return public_of(self.pairing) + public_of(self.sharing) + committed(self.own)


@dataclass(frozen=True)
class Terms:
    """What all sites of a sum must have been told alike, or their masks do not cancel.

    Attributes
    ----------
    purpose
        What is summed: of which study, arm and round.
    publics
        What sites have made known for this sum (`Secrets.public`), by name.
    weights
        What each site that gives a summand multiplies it by, by name; None: it gives it as it is.
        Empty before that is known.
    """

    purpose: str
    publics: Mapping[str, bytes]
    weights: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def digest(self) -> bytes:
        """SHA-256 of it all."""
        publics = {name: public.hex() for name, public in self.publics.items()}
        return digest_of(self.purpose, publics, self.weights)


def public_of(key: bytes) -> bytes:
    """The public half of a private key."""
    return X25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()


def committed(seed: bytes) -> bytes:
    """A hash of a seed, by which it is known again."""
    return hashlib.sha256(b"fairfed seed" + seed).digest()


def digest_of(*said: object) -> bytes:
    """SHA-256 of plain data; numbers count to the last bit."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()


def purpose_of(study: str, arm: str, what: str, number: int) -> str:
    """What is summed, in words that no other sum has; of a study by its fingerprint."""
    return json.dumps([study, arm, what, number])


def threshold(sites: int, share: float) -> int:
    """How many of the sites open a sum: more than this share of them."""
    return int(share * sites + 1e-9) + 1


def shared_out(own: str, secrets: Secrets, terms: Terms, needed: int) -> dict[str, bytes]:
    """Shares of a site's seeds, one for every site, each encrypted so that only that one reads it.

    `needed` of them give the seeds back.
    """
    from Crypto.Protocol.SecretSharing import Shamir

    names = sorted(terms.publics)
    seeds = secrets.pairing + secrets.own
    halves = [seeds[start : start + HALF] for start in range(0, len(seeds), HALF)]
    split = [Shamir.split(needed, len(names), half, False) for half in halves]
    found = {}
    for place, name in enumerate(names):
        text = b"".join(parts[place][1] for parts in split)
        cipher, about = _between(secrets, own, name, own, terms)
        found[name] = cipher.encrypt(bytes(12), text, about)  # the key is of this one text
    return found


def opened(own: str, secrets: Secrets, terms: Terms, sender: str, sealed: bytes) -> bytes:
    """The share of another's seeds that came for a site.

    Raises
    ------
    ValueError
        If it is not what that site has sent for this sum.
    """
    cipher, about = _between(secrets, own, sender, sender, terms)
    try:
        return cipher.decrypt(bytes(12), sealed, about)
    except InvalidTag:
        raise ValueError(NOT_OPENED.format(name=sender, own=own)) from None


def _between(
    secrets: Secrets, own: str, other: str, sender: str, terms: Terms
) -> tuple[AESGCM, bytes]:
    """How shares travel between two sites in one direction."""
    key = X25519PrivateKey.from_private_bytes(secrets.sharing)
    secret = key.exchange(X25519PublicKey.from_public_bytes(terms.publics[other][KEY : 2 * KEY]))
    receiver = other if sender == own else own
    about = json.dumps([terms.purpose, sender, receiver]).encode()
    return AESGCM(_derived(secret, b"share" + about)), about


def part_of(share: bytes, lost: bool) -> bytes:
    """The half of a share that opens a sum: of a lost site's pairing key, or of its own seed."""
    return share[: 2 * HALF] if lost else share[2 * HALF :]


def recovered(
    name: str, shares: Mapping[str, bytes], terms: Terms, needed: int, lost: bool
) -> bytes:
    """A lost site's pairing key, or another's own seed, from parts of shares by who held them.

    Raises
    ------
    ValueError
        If they are too few, or do not give what the site has made known.
    """
    from Crypto.Protocol.SecretSharing import Shamir

    if len(shares) < needed:
        raise ValueError(TOO_FEW.format(found=len(shares), name=name, needed=needed))
    places = {holder: place for place, holder in enumerate(sorted(terms.publics), 1)}
    some = [(places[holder], shares[holder]) for holder in sorted(shares)[:needed]]
    secret = b"".join(
        Shamir.combine([(place, share[start : start + HALF]) for place, share in some], False)
        for start in (0, HALF)
    )
    known = terms.publics[name]
    agrees = public_of(secret) == known[:KEY] if lost else committed(secret) == known[-KEY:]
    if not agrees:
        raise ValueError(OTHER_SEED.format(name=name))
    return secret


def masked(
    own: str, secrets: Secrets, terms: Terms, words: Mapping[str, Words]
) -> dict[str, Words]:
    """A site's summand under its masks with all others of `terms.weights`, and under its own."""
    others = [name for name in terms.weights if name != own]
    streams = [(_keystream(secrets.own, b"own" + terms.digest), 1)]
    streams += [_pairwise(secrets.pairing, own, other, terms) for other in others]
    return _added(words, streams)


def unmasked(
    total: Mapping[str, Words],
    terms: Terms,
    own: Mapping[str, bytes],
    pairing: Mapping[str, bytes],
) -> dict[str, Words]:
    """A sum of summands without its masks.

    Parameters
    ----------
    total
        The sum of what sites sent.
    terms
        What they were told.
    own
        Seeds of their own masks, by name.
    pairing
        Pairing keys of those with whom they share masks and who sent nothing, by name.
    """
    streams = [(_keystream(seed, b"own" + terms.digest), -1) for seed in own.values()]
    for lost, key in pairing.items():
        # What the survivor added is what the lost one would have subtracted.
        streams += [_pairwise(key, lost, survivor, terms) for survivor in own]
    return _added(total, streams)


Stream = tuple["_Keystream", int]


def _pairwise(key: bytes, own: str, other: str, terms: Terms) -> Stream:
    """The keystream that two sites share, and the sign with which `own` adds it."""
    public = X25519PublicKey.from_public_bytes(terms.publics[other][:KEY])
    secret = X25519PrivateKey.from_private_bytes(key).exchange(public)
    pair = json.dumps(sorted((own, other))).encode()
    return _keystream(secret, b"pair" + pair + terms.digest), 1 if own < other else -1


class _Keystream:
    """AES in counter mode as words, drawn one after the other."""

    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def words(self, count: int) -> Words:
        """The next words."""
        drawn = self._cipher.update(bytes(8 * count))
        return np.frombuffer(drawn, "<u8").astype(np.uint64, copy=False)


def _keystream(secret: bytes, about: bytes) -> _Keystream:
    return _Keystream(_derived(secret, about))


def _derived(secret: bytes, about: bytes) -> bytes:
    """A key for one use, from a secret."""
    return HKDF(hashes.SHA256(), KEY, None, b"fairfed secure sum 1" + about).derive(secret)


def _added(words: Mapping[str, Words], streams: Sequence[Stream]) -> dict[str, Words]:
    """Arrays with keystreams added modulo 2⁶⁴, in the order of their names and of their axes."""
    flat = {name: words[name].flatten() for name in sorted(words)}  # copies, whatever the layout
    for stream, sign in streams:
        for array in flat.values():
            for start in range(0, array.size, BLOCK):
                part = array[start : start + BLOCK]
                if sign > 0:
                    part += stream.words(part.size)
                else:
                    part -= stream.words(part.size)
    return {name: array.reshape(words[name].shape) for name, array in flat.items()}
