"""Averaging in a shared space: as everywhere, but asking other handlers of the clients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message

from fairfed.rounds.exchange import Client
from fairfed.strategies.steered import FairnessSteered

ACTION = "shared"
"""What `train`, `evaluate` and `query` are of."""


class SharedSpace(FairnessSteered):
    """Averages the clients' adapters by their numbers of real examples.

    Parameters
    ----------
    shape, options
        As of `FairnessSteered`.
    outside
        Partition ids of clients that are neither sent nor asked anything.
    """

    def __init__(
        self, shape: tuple[int, int], *, outside: frozenset[int] = frozenset(), **options: Any
    ) -> None:
        super().__init__(shape, **options)
        self._outside = outside

    def enroll(self, clients: Iterable[Client], *, seed: int, fraction: float) -> None:
        """Fix who takes part, and how a round draws them."""
        inside = [client for client in clients if client.index not in self._outside]
        super().enroll(inside, seed=seed, fraction=fraction)

    def _requests(
        self,
        kind: str,
        server_round: int,
        arrays: ArrayRecord,
        config: ConfigRecord,
        nodes: Sequence[int],
    ) -> list[Message]:
        return super()._requests(f"{kind}.{ACTION}", server_round, arrays, config, nodes)
