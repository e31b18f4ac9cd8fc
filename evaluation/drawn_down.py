"""Clients that a rule drew down: they counted for half of their share of the examples, or less.

What helps the others may be what such a client lost, so an arm that does this for `ROUNDS` rounds
says so before anything else, and is not the one to recommend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.numbers import called
from evaluation.rates import FloatArray
from evaluation.records import Arm, ClientRound, Run

ROUNDS = 3
"""Rounds from which on it is said."""
HALF = 0.5


@dataclass(frozen=True)
class DrawnDown:
    """One client that counted for too little in an arm.

    It was drawn down in `rounds` of the rounds in which it took part; `weight` is the lowest of its
    weights, `share` its share of the real examples in that round, `accuracy` that of the arm's
    model on its test rows (NaN if it has none).
    """

    client: int
    name: str
    rounds: int
    of: int
    weight: float
    share: float
    accuracy: float


def drawn_down(run: Run, arm: Arm, accuracies: FloatArray) -> tuple[DrawnDown, ...]:
    """Find the clients that an arm drew down for `ROUNDS` rounds or more, by partition id.

    `accuracies` are those of its last measured model on the test rows of each client.
    """
    taken: dict[int, int] = {}
    found: dict[int, list[tuple[float, float]]] = {}
    for item in run.history[arm.name]:
        there = [e for e in item.clients if not e.error and e.n_real and e.weight is not None]
        total = sum(entry.n_real for entry in there)
        for entry in there:
            share = entry.n_real / total
            taken[entry.client] = taken.get(entry.client, 0) + 1
            if _low(entry, share, there):
                found.setdefault(entry.client, []).append((entry.weight or 0.0, share))
    return tuple(
        DrawnDown(client, called(run.client_name(client)), len(low), taken[client], *min(low),
                  float(accuracies[client]))
        for client, low in sorted(found.items())
        if len(low) >= ROUNDS
    )  # fmt: skip


def _low(entry: ClientRound, share: float, there: Sequence[ClientRound]) -> bool:
    """Whether a client was drawn down; of a log that does not say, by its weight.

    Not where all weigh the same, nor by the cap, which the largest weight may have met.
    """
    if entry.drawn_down is not None:
        return entry.drawn_down
    largest = max(e.weight or 0.0 for e in there)
    return (entry.weight or 0.0) < (1 - 1e-9) * min(HALF * share, largest)
