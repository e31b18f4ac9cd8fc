"""How work goes on, for whoever shows it, and how long clients have for it.

A run tells its `Watcher` what the server knows; a client's synthesis reports to
`fairfed.sites.progress`.
"""

from __future__ import annotations

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
