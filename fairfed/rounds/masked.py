"""The server's part of a sum under masks: it passes on keys and shares, adds up, opens the sum.

Three exchanges follow on the answers in which sites have sent their keys: all get all keys, and
send shares of their seeds; each gets its shares, and sends its summand; those who are left open the
sum.
A site that is lost on the way costs its summand and nothing else, as long as enough are left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, ConfigRecordValues, RecordDict
from numpy.typing import NDArray

from fairfed.config import FederationConfig
from fairfed.privacy.fixed_point import Words, from_words
from fairfed.privacy.masks import PUBLIC, Terms, purpose_of, recovered, threshold, unmasked
from fairfed.rounds.arrays import Model
from fairfed.rounds.entries import RejectedReply
from fairfed.rounds.exchange import CONFIG_KEY, Answers, Exchange, Steps
from fairfed.rounds.replies import model_of, usable
from fairfed.sites.masked import KEYS, PARTS, SHARES, SUM

LABEL = "sum"
"""Label of a sum's errors in a client's row."""
NO_KEYS = "the reply has no key for the sum: the site must have the same study"
MISSHAPEN = "'{record}' of the reply is not one text for each of {names}"
NOT_ENOUGH = "no sum: {found} of {of} sites are left, and {needed} must be"


@dataclass(frozen=True)
class Opened:
    """A sum, and whose summands are in it."""

    total: dict[str, NDArray[Any]]  # float64; int64 where every site gave integers as they are
    clients: tuple[int, ...]


@dataclass(frozen=True)
class Masking:
    """How a study masks."""

    study: str  # its fingerprint
    share: float  # more than this share of the sites opens a sum (`PrivacyConfig.threshold`)


def masking_of(study: FederationConfig) -> Masking | None:
    """How a study masks; None where it does not."""
    how = study.privacy
    return Masking(study.fingerprint, how.threshold) if how.secure_sum else None


def opened_sum(
    how: Masking,
    keyed: Answers,
    request: Mapping[str, ConfigRecordValues],
    like: Model,
    weights: Mapping[int, float] | None = None,
) -> Steps[Opened | str]:
    """The sum of what sites hold, or why there is none.

    Parameters
    ----------
    keyed
        Answers with the keys of those that hold something.
    request
        What every message tells a client, with the round.
    like
        Arrays of the shapes that are summed; integers among them are summed exactly where there
        are no weights.
    weights
        By client, what it multiplies its arrays by.
    """
    names = keyed.names
    keys = usable(keyed, _key)
    clients = {names[client]: client for client in keys}
    publics = {names[client]: public for client, (public, _) in keys.items()}
    needed = max(2, threshold(len(keys), how.share))
    if len(keys) < 2:
        return NOT_ENOUGH.format(found=len(keys), of=len(names), needed=needed)
    listed: dict[str, ConfigRecordValues] = {
        "names": list(clients),
        "publics": list(publics.values()),
        "signatures": [signature for _, signature in keys.values()],
    }
    answers = yield Exchange.alike("query.share", keys, {**request, **listed}, label=LABEL)
    shares = usable(answers, lambda content: _texts(content, SHARES, clients))
    there = [names[client] for client in shares]
    if len(there) < needed:
        return NOT_ENOUGH.format(found=len(there), of=len(keys), needed=needed)

    contents = {}
    for client in shares:
        told: dict[str, ConfigRecordValues] = {
            "names": there,
            "sealed": [shares[other][names[client]] for other in shares],
        }
        if weights is not None:
            told["weights"] = [weights[clients[name]] for name in there]
        contents[client] = RecordDict({CONFIG_KEY: ConfigRecord({**request, **told})})
    answers = yield Exchange("query.mask", contents, LABEL)
    template = {name: np.zeros(value.shape, np.uint64) for name, value in like.items()}
    total: dict[str, Words] = {name: value.copy() for name, value in template.items()}
    summands = usable(answers, lambda content: _summand(content, template, total))
    left = [names[client] for client in summands]
    if len(left) < needed:
        return NOT_ENOUGH.format(found=len(left), of=len(keys), needed=needed)

    answers = yield Exchange.alike("query.open", summands, {**request, "names": left}, label=LABEL)
    parts = usable(answers, lambda content: _texts(content, PARTS, there))
    given = {name: None if weights is None else weights[clients[name]] for name in there}
    number = int(request["round"])  # type: ignore[arg-type]
    arm, what = (str(request.get(name, "")) for name in ("arm", SUM))
    terms = Terms(purpose_of(how.study, arm, what, number), publics, given)
    try:
        seeds = {
            name: recovered(
                name,
                {names[client]: own[name] for client, own in parts.items()},
                terms,
                needed,
                name not in left,
            )
            for name in there
        }
    except ValueError as error:
        return f"no sum: {error}"
    own = {name: seeds[name] for name in left}
    pairing = {name: seeds[name] for name in there if name not in left}
    whole = frozenset(
        name
        for name, value in like.items()
        if weights is None and not np.issubdtype(value.dtype, np.inexact)
    )
    return Opened(from_words(unmasked(total, terms, own, pairing), whole), tuple(summands))


def _key(content: RecordDict) -> tuple[bytes, bytes]:
    record = content.config_records.get(KEYS, ConfigRecord())
    public, signature = record.get("public"), record.get("signature")
    if not isinstance(public, bytes) or len(public) != PUBLIC or not isinstance(signature, bytes):
        raise RejectedReply(NO_KEYS)
    return public, signature


def _texts(
    content: RecordDict, record: str, names: Sequence[str] | Mapping[str, int]
) -> dict[str, bytes]:
    """A text for each name."""
    found = content.config_records.get(record, ConfigRecord())
    whom, texts = found.get("names"), found.get("sealed")
    if (
        not isinstance(whom, list)
        or not isinstance(texts, list)
        or sorted(map(str, whom)) != sorted(names)
        or len(texts) != len(whom)
        or not all(isinstance(text, bytes) for text in texts)
    ):
        raise RejectedReply(MISSHAPEN.format(record=record, names=", ".join(names)))
    return dict(zip(map(str, whom), texts, strict=True))  # type: ignore[arg-type]


def _summand(content: RecordDict, like: Model, total: dict[str, Words]) -> None:
    """Add a masked summand to the total, which is all that is kept of it."""
    for name, value in model_of(content, like).items():
        total[name] += value
