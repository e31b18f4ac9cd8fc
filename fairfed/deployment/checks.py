"""What must hold before a site can take part, each said in a line, with what to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fairfed.deployment.asking import Answer, UnreachableError, ask
from fairfed.deployment.invitation import Invitation
from fairfed.deployment.joining import Node
from fairfed.deployment.programs import versions
from fairfed.sites.checking import check
from semantic.errors import InputError

AHEAD, BEHIND = 5.0, 305.0
"""Seconds that Flower lets a site's clock be ahead or behind: it signs the time."""
SOON = dt.timedelta(days=30)
Clock = Callable[[], dt.datetime]


@dataclass(frozen=True)
class Finding:
    """What a check has found."""

    holds: bool | None  # whether it is as it must be; None where it is not known yet
    what: str  # what is so
    remedy: str = ""  # what to do where it is not

    def __str__(self) -> str:
        mark = {True: "✓", False: "✗", None: "·"}[self.holds]
        return f"{mark} {self.what}" + (f"\n  → {self.remedy}" if self.remedy else "")


def utc_now() -> dt.datetime:
    """The time by the clock of this machine."""
    return dt.datetime.now(dt.UTC)


def same_versions(invitation: Invitation) -> Iterator[Finding]:
    """Versions of fairfed and Flower: what differs would compute, or answer, otherwise."""
    for name, own in versions().items():
        asked = getattr(invitation, name)
        if own == asked:
            yield Finding(True, f"{name} {own}, as the coordinator")
        else:
            yield Finding(
                False, f"{name} is {own} here, and {asked} at the coordinator",
                f"install the same: pip install {name}=={asked}",
            )  # fmt: skip


def connection(invitation: Invitation, now: Clock = utc_now) -> Iterator[Finding]:
    """Whether the coordinator answers, shows a certificate to trust, and has the same time."""
    address = invitation.address
    try:
        answer = ask(address, invitation.authority)
    except UnreachableError as error:
        yield Finding(False, error.why, error.remedy)
        return
    left = answer.until - now()
    soon = f"only {left.days} days left: ask the coordinator for a new one" if left < SOON else ""
    yield Finding(
        True, f"{address} answers, with a certificate to trust until {answer.until:%Y-%m-%d}", soon
    )
    yield same_time(answer, now())


def same_time(answer: Answer, here: dt.datetime) -> Finding:
    """Whether the clocks agree as Flower wants it."""
    if answer.date is None:
        return Finding(None, "the coordinator does not say its time", "compare the clocks yourself")
    ahead = (here - answer.date).total_seconds()
    if -BEHIND < ahead < AHEAD + 1:  # the coordinator says whole seconds
        return Finding(True, "the clock agrees with the coordinator's")
    how = "ahead of" if ahead > 0 else "behind"
    return Finding(
        False, f"this machine's clock is {_duration(abs(ahead))} {how} the coordinator's",
        "set it by the network (timedatectl set-ntp true), or tell the coordinator that its own is "
        f"off; at most {AHEAD:.0f} s ahead and {BEHIND:.0f} s behind are accepted",
    )  # fmt: skip


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def fits(node: Node) -> Finding:
    """Whether the site's data and policy go with the study; models are not loaded."""
    study = node.invitation.config(node.attributes)
    try:
        seen = check(node.site, study, plan=False)
    except InputError as error:
        return Finding(False, f"the study and the site's data: {error}", "see docs/sites.md")
    if seen.refusals:
        return Finding(
            False, "the site's policy refuses the study: " + "; ".join(seen.refusals),
            "change [policy] in site.toml, or ask the coordinator to ask for less",
        )  # fmt: skip
    rows = sum(map(sum, seen.report.train))
    return Finding(
        True, f"the study {study.name!r} goes with the site: {rows:,} rows to train with"
    )
