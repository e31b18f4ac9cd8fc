"""How work goes on, for whoever shows it, and how long clients have for it.

A run tells its `Watcher` what the server knows. A client's synthesis is one message that takes
minutes. In the in-process engine it reports here how many images it has handled; in another process
nobody listens, and reporting costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from fairfed.config import Arm

TIMEOUT = 3600.0
"""Seconds that the clients have for one round."""
AUGMENT_TIMEOUT = 24 * 3600.0
"""Seconds that the clients have for synthesis."""


class Watcher(Protocol):
    """Is told how an experiment goes on."""

    def described(self, federation: dict[str, Any]) -> None:
        """The clients have said what they hold (`federation.json`)."""

    def synthesising(self, images: int) -> None:
        """Synthesis begins; about so many images will be handled."""

    def synthesised(self, synthetic: dict[str, Any]) -> None:
        """Synthesis is done (`synthetic/clients.json`)."""

    def training(self, arm: Arm, first: int, rounds: int) -> None:
        """An arm begins with round `first`."""

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        """A round is done (its row of `rounds.jsonl`)."""


_listeners: list[Callable[[int], None]] = []


def images_done(count: int) -> None:
    """Report that `count` more images were made or found in the store."""
    for listener in _listeners:
        listener(count)


@contextmanager
def listening(listener: Callable[[int], None]) -> Iterator[None]:
    """Send reports to `listener` while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
