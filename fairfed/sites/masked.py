"""A site's part of a sum under masks: keys, shares, its summand, and what opens the sum.

The mathematics is in `fairfed.privacy.masks`, the server's part in `fairfed.rounds.masked`, and
what each side can learn in docs/secure-sums.md. What a site has summed once it sums again only with
the same sites and weights: the difference of two sums would be a site's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message
from numpy.typing import NDArray

from evaluation.files import write_whole
from fairfed.privacy.fixed_point import to_words
from fairfed.privacy.masks import (
    Secrets,
    Terms,
    digest_of,
    masked,
    opened,
    part_of,
    purpose_of,
    shared_out,
    threshold,
)
from fairfed.sites.request import Request
from fairfed.sites.site import Site
from generators.writing import explained
from semantic.errors import InputError

KEYS, SHARES, PARTS = "keys", "shares", "parts"
"""Records of answers: keys for a sum; encrypted shares; what opens the sum."""
SUM = "sum"
"""Setting of a request that says which sum of an arm and round it is of; absent: the only one."""
ONCE = "masked.json"

NOT_SUMMED = "the server asks for a step of a sum that this site has not begun"
FEW = (
    "policy.min_sites: the sum would be of {found} sites, and must be of at least {needed}: a sum "
    "of few tells much of each"
)
OTHER_KEYS = "the server says that the keys of {name} for this sum are others than they are"
NOT_IN_IT = "the server's list of a sum's sites lacks {name} itself, or names some twice"
MOSTLY_OWN = (
    "policy.max_share: this site would be {share:.0%} of the sum, allowed are {most:.0%}: such a "
    "sum hides little"
)
BAD_WEIGHTS = "the server's weights of a sum are not numbers from 0 on, one for each of its sites"
SUMMED = (
    "round {round} has been summed already, with other sites or other weights: the difference of "
    "two sums would be a site's own. The next round can be"
)
TOO_FEW_LEFT = (
    "the server says that {found} of {of} sites are left of a sum, and {needed} must be: with so "
    "few it is not opened"
)


def hold(request: Request, arrays: Mapping[str, NDArray[Any]]) -> ConfigRecord:
    """Keep what is to be summed; the keys to answer with in its place.

    Raises
    ------
    InputError
        If the site has no key to sign with.
    """
    state, key = request.context.state, _key(request)
    secrets = Secrets.draw()
    state[key] = _record(arrays)
    state[f"{key}-secrets"] = ConfigRecord(
        {"pairing": secrets.pairing, "sharing": secrets.sharing, "own": secrets.own}
    )
    who = _site(request).identity
    signature = b"" if who is None else who.sign(_signed(request, request.name, secrets.public))
    return ConfigRecord({"public": secrets.public, "signature": signature})


def share(request: Request) -> Message:
    """Look at the keys of all sites, and share out the seeds of the own masks among them."""
    sent, site, key = request.sent, _site(request), _key(request)
    secrets = _secrets(request)
    names, publics = _texts(sent["names"]), _bytes(sent["publics"])
    if sorted(set(names)) != sorted(names) or request.name not in names:
        raise InputError(NOT_IN_IT.format(name=request.name))
    known = dict(zip(names, publics, strict=True))
    if known[request.name] != secrets.public:
        raise InputError(OTHER_KEYS.format(name=request.name))
    least = max(2, site.policy.min_sites)
    if len(names) < least:
        raise InputError(FEW.format(found=len(names), needed=least))
    if site.identity is not None:
        for name, public, signature in zip(names, publics, _bytes(sent["signatures"]), strict=True):
            if name != request.name:
                site.identity.verify(name, _signed(request, name, public), signature)
    terms = Terms(_purpose(request), known)
    sealed = shared_out(request.name, secrets, terms, _needed(request, len(names)))
    request.context.state[f"{key}-terms"] = ConfigRecord({"names": names, "publics": publics})
    return request.reply({}, **{SHARES: _listed(sealed)})


def give(request: Request) -> Message:
    """Send the own summand under its masks, once the shares of all who are left have come."""
    sent, site, key, own = request.sent, _site(request), _key(request), request.name
    secrets, terms = _secrets(request), _terms(request)
    names = _texts(sent["names"])
    sealed = dict(zip(names, _bytes(sent["sealed"]), strict=True))
    given = sent.get("weights")
    weights = _weights(names, given)
    if own not in weights or not set(names) <= set(terms.publics):
        raise InputError(NOT_IN_IT.format(name=own))
    needed = max(_needed(request, len(terms.publics)), site.policy.min_sites)
    _require(len(names), len(terms.publics), needed)
    _not_mostly_own(site, weights, names)
    _once(request, "summed", digest_of(sorted(names), weights))
    for name in names:  # a share that does not open would be found out when it is too late
        opened(own, secrets, terms, name, sealed[name])
    request.context.state[f"{key}-sealed"] = _listed(sealed)
    request.context.state[f"{key}-weights"] = ConfigRecord({} if given is None else {"w": given})
    words = to_words(_held(request), weights[own], len(names))
    summand = masked(own, secrets, Terms(terms.purpose, terms.publics, weights), words)
    return request.reply({}, arrays=_record(summand))


def open_up(request: Request) -> Message:
    """Send what opens the sum: for a site that is in it, or for one that was lost; never both."""
    key, site, own = _key(request), _site(request), request.name
    secrets, terms = _secrets(request), _terms(request)
    state = request.context.state.config_records
    if f"{key}-sealed" not in state:
        raise InputError(NOT_SUMMED)
    names = _texts(state[f"{key}-sealed"]["names"])
    sealed = dict(zip(names, _bytes(state[f"{key}-sealed"]["sealed"]), strict=True))
    left = _texts(request.sent["names"])
    needed = max(_needed(request, len(terms.publics)), site.policy.min_sites)
    _require(len(set(left) & set(names)), len(terms.publics), needed)
    weights = _weights(names, state[f"{key}-weights"].get("w"))
    _not_mostly_own(site, weights, left)
    _once(request, "opened", digest_of(sorted(left)))
    parts = {
        name: part_of(opened(own, secrets, terms, name, text), name not in left)
        for name, text in sealed.items()
    }
    # The weights are not needed any more, and what is kept is what could be lost.
    for name in (key, f"{key}-secrets", f"{key}-sealed", f"{key}-terms", f"{key}-weights"):
        del request.context.state[name]
    return request.reply({}, **{PARTS: _listed(parts)})


def _key(request: Request) -> str:
    """Under which a client's state has a sum."""
    parts = ("masked", *(str(request.sent.get(name, "")) for name in ("arm", SUM)))
    return "-".join(filter(None, parts))


def _site(request: Request) -> Site:
    return request.own_site if "arm" in request.sent else request.plain_site


def _purpose(request: Request) -> str:
    arm, what = (str(request.sent.get(name, "")) for name in ("arm", SUM))
    return purpose_of(request.study.fingerprint, arm, what, request.round)


def _signed(request: Request, name: str, public: bytes) -> bytes:
    """What a site signs of its keys for a sum."""
    return json.dumps(["fairfed keys 1", _purpose(request), name]).encode() + public


def _secrets(request: Request) -> Secrets:
    kept = request.context.state.config_records.get(f"{_key(request)}-secrets")
    if kept is None:
        raise InputError(NOT_SUMMED)
    return Secrets(*(bytes(kept[name]) for name in ("pairing", "sharing", "own")))  # type: ignore[arg-type]


def _terms(request: Request) -> Terms:
    kept = request.context.state.config_records.get(f"{_key(request)}-terms")
    if kept is None:
        raise InputError(NOT_SUMMED)
    publics = zip(_texts(kept["names"]), _bytes(kept["publics"]), strict=True)
    return Terms(_purpose(request), dict(publics))


def _held(request: Request) -> dict[str, NDArray[Any]]:
    kept = request.context.state.array_records[_key(request)]
    return {name: array.numpy() for name, array in kept.items()}


def _needed(request: Request, sites: int) -> int:
    return threshold(sites, request.study.privacy.threshold)


def _require(found: int, of: int, needed: int) -> None:
    if found < needed:
        raise InputError(TOO_FEW_LEFT.format(found=found, of=of, needed=needed))


def _weights(names: Sequence[str], given: object) -> dict[str, float | None]:
    """Weights by name; None for all where none are given."""
    if given is None:
        return dict.fromkeys(names)
    if not isinstance(given, list) or len(given) != len(names):
        raise InputError(BAD_WEIGHTS)
    weights = [float(weight) for weight in given]
    if not all(np.isfinite(weights)) or min(weights) < 0:
        raise InputError(BAD_WEIGHTS)
    return dict(zip(names, weights, strict=True))


def _not_mostly_own(site: Site, weights: Mapping[str, float | None], names: Sequence[str]) -> None:
    """Refuse a weighted sum that is the site's own but for little."""
    own = weights[site.name]
    if own is None or site.identity is None:
        return
    total = sum(weights[name] or 0.0 for name in names)
    share = own / total if total else 0.0
    if share > site.policy.max_share:
        raise InputError(MOSTLY_OWN.format(share=share, most=site.policy.max_share))


def _once(request: Request, step: str, mark: bytes) -> None:
    """Refuse to take a step of a round in another way than before; of a real site."""
    folder = _site(request).kept
    if folder is None:
        return
    path = folder / ONCE
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    steps = kept.setdefault(_purpose(request), {})
    if steps.setdefault(step, mark.hex()) != mark.hex():
        raise InputError(SUMMED.format(round=request.round))
    with explained(path):  # before anything leaves
        write_whole(path, json.dumps(kept).encode())


def _record(arrays: Mapping[str, NDArray[Any]]) -> ArrayRecord:
    return ArrayRecord({name: Array(np.asarray(value)) for name, value in arrays.items()})


def _listed(by_name: Mapping[str, bytes]) -> ConfigRecord:
    return ConfigRecord({"names": list(by_name), "sealed": list(by_name.values())})


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _bytes(value: object) -> list[bytes]:
    found = [one for one in value if isinstance(one, bytes)] if isinstance(value, list) else []
    return found
