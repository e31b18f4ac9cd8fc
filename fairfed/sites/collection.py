"""The sites of a federation, as an engine's clients ask for their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from flwr.app import Context, Message
from pydantic import ValidationError

from fairfed.config.federation import FederationConfig
from fairfed.sites.site import Site
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.sites.request import Request

NO_STUDY = (
    "the server sent a study that this site does not take: {where}: {why}. A study says what all "
    "agree on, and nothing of where anything is; use the same version of fairfed on every side"
)
MAIN, IID = "main", "iid"
"""How rows are divided: as the sites own them, or evenly (of a simulation alone)."""


class Sites(Protocol):
    """Whoever knows which site a client is."""

    def name(self, context: Context) -> str:
        """What a client's site is called."""

    def site(
        self, context: Context, study: FederationConfig, split: str = MAIN, pooled: bool = False
    ) -> Site:
        """A client's site under a study.

        Parameters
        ----------
        context
            Of the client.
        study
            What the federation agrees on.
        split
            How rows are divided.
        pooled
            Whether the first client has all training rows, and the others none.

        Raises
        ------
        fairfed.errors.PublicInputError
            If the site cannot take part, or real sites are asked for what only a simulation has.
        """

    def admit(self, request: Request) -> None:
        """Refuse what a site does not do; the clients of a simulation do all."""
        return

    def answer(self, request: Request, handler: Callable[[Request], Message]) -> Message:
        """Have a handler answer; an engine keeps the state of a simulation's clients."""
        return handler(request)

    def released(self, request: Request, reply: Message) -> None:
        """Note what leaves a site; the clients of a simulation keep no ledger."""
        return

    def failed(self, request: Request, error: BaseException) -> None:
        """Note that an error leaves a site instead."""
        return


def partition_of(context: Context) -> int:
    """The number that an engine has given a client."""
    return int(context.node_config["partition-id"])


class StudyReader:
    """Reads the text of a study once, and not with every message."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[str, FederationConfig] | None = None

    def __call__(self, text: str) -> FederationConfig:
        """The study that a message holds."""
        last = self._last
        if last is not None and last[0] == text:
            return last[1]
        with self._lock:
            try:
                self._last = text, FederationConfig.model_validate_json(text)
            except ValidationError as error:
                where = ".".join(map(str, error.errors()[0]["loc"])) or "its text"
                why = error.errors()[0]["msg"]
                raise InputError(NO_STUDY.format(where=where, why=why)) from error
            return self._last[1]
