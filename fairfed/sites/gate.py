"""What a real site lets in, and out: its policy, and a line of its ledger for every answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flwr.app import ConfigRecord, Message

from fairfed import __version__
from fairfed.config.systems import Action
from fairfed.errors import PublicInputError
from fairfed.sites.account import overspent
from fairfed.sites.approval import require_permitted
from fairfed.sites.entries import asked, beyond, left
from fairfed.sites.home import Home
from fairfed.sites.ledger import Entry, Ledger
from fairfed.sites.policy import action_of, most_made, refusals
from fairfed.sites.receipts import RECEIPTS, to_note
from fairfed.sites.request import VERSION
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.sites.request import Request

logger = logging.getLogger("fairfed")

REFUSED = "study {study!r}: {reasons}. Change the policy in site.toml, or stay out of the study"
OTHER_VERSION = (
    "this site has fairfed {here}, and the server {there}: install the same version on every side"
)
BAD_RECEIPT = (
    "the receipt of answer %s is not signed by the coordinator whose key is "
    "coordinator.receipts_key: ask who sent it"
)


class Gate:
    """The gate of one site; see `fairfed.sites.collection.Sites` for what it raises."""

    def __init__(self, home: Home) -> None:
        self._home, self._policy = home, home.config.policy
        self._ledger = Ledger(home.state)

    def admit(self, request: Request) -> None:
        """Refuse a message that asks for more than the policy allows, or of another version."""
        self.receive(request)
        if not request.has_study:
            asking = str(request.sent.get(VERSION, __version__))
            if asking != __version__:
                raise PublicInputError(OTHER_VERSION.format(here=__version__, there=asking))
            return
        study, policy = request.study, self._policy
        require_permitted(policy, study, self._home.state)
        action = action_of(request.message.metadata.message_type)
        also: list[Action] = [action] if request.extra is None else [action, "synthesise"]
        # What needs no data is asked first: nothing is read for a study that is refused anyway.
        reasons = list(refusals(policy, study, 0, *also))
        reasons = reasons or list(refusals(policy, study, self._synthetic(request, action)))
        most, number = policy.max_rounds, int(request.sent.get("round", 0))  # type: ignore[arg-type]
        if most is not None and number > most:
            reasons.append(f"policy.max_rounds: round {number} is asked for, allowed are {most}")
        if not reasons:  # each reads the ledger only where the policy has a bound
            further = beyond(policy, request, self._ledger.entries())
            further = further or overspent(policy.dp, self._ledger.entries())
            reasons += [] if further is None else [further]
        if reasons:
            raise InputError(REFUSED.format(study=study.name, reasons="; ".join(reasons)))

    def _synthetic(self, request: Request, action: Action) -> int:
        """Images that the site would make at most for what is asked; training makes them, too."""
        if self._policy.max_synthetic is None or "arm" not in request.sent:
            return 0
        study, arm, pools = request.study, request.arm, list[int]()
        if action == "synthesise" or (action == "train" and arm.augment):
            pools = self._home.site(study, request.client).pools(arm).ravel().tolist()
        further = [] if request.extra is None else request.extra[request.extra > 0].tolist()
        return most_made([*pools, *further], study)

    def release(self, request: Request, reply: Message) -> None:
        """Add a line to the ledger that says all that leaves. Only then it does."""
        said, site = left(request, reply), self._home.built
        if site is not None and request.has_study and self._policy.counts == "suppress":
            rows = {"train": site.rows.train, "test": site.rows.test}
            said["unsaid"] = {name: int((~site.says(own)).sum()) for name, own in rows.items()}

        def allowed(entries: Iterator[Entry]) -> None:
            earlier = entries if self._policy.dp is None else list(entries)
            reason = beyond(self._policy, request, earlier) if request.has_study else None
            if reason is None and self._policy.dp is not None and "release" in said:
                reason = overspent(self._policy.dp, [*earlier, said])
            if reason is not None:
                raise InputError(REFUSED.format(study=request.study.name, reasons=reason))

        # Another process may have answered since this question was admitted.
        self._ledger.append({**asked(request), **said}, allowed)

    def fail(self, request: Request, said: str) -> None:
        """Add a line that says which error leaves."""
        self._ledger.append({**asked(request), "error": said})

    def receive(self, request: Request) -> None:
        """Add lines with what the coordinator has signed of earlier answers."""
        sent = request.message.content.config_records.get("config", ConfigRecord())
        texts, key = sent.get(RECEIPTS), self._home.config.coordinator.receipts_key
        if not isinstance(texts, list) or not texts:
            return
        entries, time = self._ledger.entries(), asked(request)["time"]
        for line in to_note(map(str, texts), entries, self._home.config.name, key):
            if line["verified"] is False:
                logger.warning(BAD_RECEIPT, line["receipt"])
            self._ledger.append({"time": time, **line})
