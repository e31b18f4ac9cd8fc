"""Averaging in a shared space: as everywhere, but asking other handlers of the clients."""

from __future__ import annotations

from collections.abc import Sequence

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.app import ArrayRecord, ConfigRecord, Message

from fairfed.strategies.steered import FairnessSteered

ACTION = "shared"
"""What `train`, `evaluate` and `query` are of."""


class SharedSpace(FairnessSteered):
    """Averages the clients' adapters by their numbers of real examples."""

    def _requests(
        self,
        kind: str,
        server_round: int,
        arrays: ArrayRecord,
        config: ConfigRecord,
        nodes: Sequence[int],
    ) -> list[Message]:
        return super()._requests(f"{kind}.{ACTION}", server_round, arrays, config, nodes)
