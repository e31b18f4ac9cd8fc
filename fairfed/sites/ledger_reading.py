"""What a ledger comes to: per study, and whether its chain and its receipts hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fairfed.sites.account import DELTA, spent
from fairfed.sites.ledger import FIRST, Ledger
from fairfed.sites.receipts import verify

NOBODY = "–"
"""Study of messages without one, as who is there."""


@dataclass
class StudyTotal:
    """What one study had of the site."""

    # Its name, and the configurations that it had.
    study: str
    fingerprints: list[str] = field(default_factory=list)
    # Messages that were answered, and those that were refused or failed.
    answers: int = 0
    errors: int = 0
    rounds: int = 0  # rounds in which a training left
    bytes: int = 0  # of all answers
    # Counts that were said, and in place of how many it was said that they are not.
    said: int = 0
    suppressed: int = 0
    # Spent by releases, each draw of noise once (`fairfed.sites.account.spent`), at which δ.
    epsilon: float = 0.0
    delta: float = 0.0


def totals(entries: Iterable[Mapping[str, Any]], delta: float = DELTA) -> list[StudyTotal]:
    """What each study had, in the order in which they came; ε at `delta`."""
    found: dict[str, StudyTotal] = {}
    rounds: dict[str, set[Any]] = {}
    drawn: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        if "asked" not in entry:
            continue
        name = entry.get("study") or NOBODY
        total = found.setdefault(name, StudyTotal(name))
        mark = entry.get("fingerprint")
        if mark is not None and mark not in total.fingerprints:
            total.fingerprints.append(mark)
        if "error" in entry:
            total.errors += 1
            continue
        total.answers += 1
        total.bytes += entry.get("bytes", 0)
        counts = entry.get("counts", {})
        total.said += counts.get("said", 0)
        total.suppressed += counts.get("suppressed", 0)
        if "question" in entry or ("digest" not in entry and entry["asked"].startswith("train")):
            rounds.setdefault(name, set()).add(entry.get("round"))
        if "release" in entry:
            drawn.setdefault(name, []).append(entry)
    for name, own in drawn.items():
        found[name].epsilon, found[name].delta = spent(own, delta), delta
    for name, asked in rounds.items():
        found[name].rounds = len(asked)
    return list(found.values())


@dataclass(frozen=True)
class Verified:
    """What a walk along a ledger has found."""

    lines: int  # how many there are
    unchained: int  # lines of version 0.3.0 at the beginning, which nothing vouches for
    interrupted: int  # lines that were never finished; nothing left for them
    wrong: str  # how the chain is broken first; empty where it is whole
    head: str  # hash of the last line
    answers: int  # answers that left since the chain began
    # Those whose receipt is valid; those that have one, and no key to verify it with; receipts that
    # somebody else has signed.
    receipted: int
    unverified: int
    invalid: int
    strange: int  # valid receipts of answers that the ledger does not have: it has lost lines

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def verified(ledger: Ledger, site: str, key: str | None) -> Verified:
    """Walk along a ledger; receipts are verified where the coordinator's public key is known."""
    lines = list(ledger.walk())
    entries = [line.entry for line in lines if line.entry is not None]
    answers = [entry["digest"] for entry in entries if "digest" in entry]
    receipts = [(one["receipt"], one.get("signature", "")) for one in entries if "receipt" in one]
    signed = [one for one in receipts if key is not None and verify(key, site, *one)]
    valid = {digest for digest, _ in signed}
    held = {digest for digest, _ in receipts}
    *_, head = (FIRST, *ledger.heads())
    return Verified(
        lines=len(lines),
        unchained=sum("before" not in entry for entry in entries),
        interrupted=len(lines) - len(entries),
        wrong=next((line.wrong for line in lines if line.wrong), ""),
        head=head,
        answers=len(answers),
        receipted=sum(digest in valid for digest in answers),
        unverified=0 if key is not None else sum(digest in held for digest in answers),
        invalid=0 if key is None else len(receipts) - len(signed),
        strange=len(valid - {*answers}),
    )
