"""What the run log says about one client in one round (keys of ``rounds.jsonl``)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fairfed.rounds.arm_server import Row
from fairfed.strategies.aggregation import Outcome
from fairfed.strategies.replies import ClientReply

NOT_DRAWN = "not drawn in this round"


def failed_row(client: int, error: str) -> Row:
    """Describe a client whose training gave nothing that can be used."""
    return {
        "client": client,
        "error": error,
        "n_real": 0,
        "n_synthetic": 0,
        "loss": None,
        "signal": None,
        "raw_weight": 0.0,
        "weight": 0.0,
        "drawn_down": False,
        "guard": None,
        "note": None,
        "seconds": 0.0,
    }


def idle_row(client: int) -> Row:
    """Describe a client that was not asked to train."""
    return {**failed_row(client, ""), "error": None, "note": NOT_DRAWN}


def train_row(reply: ClientReply, outcome: Outcome, k: int, steered: bool) -> Row:
    """Describe a client that trained, the k-th of the outcome; of numbers, those that are finite.

    `steered` says whether the signal moved the weights.
    """
    weights = outcome.weights
    return {
        "client": reply.client,
        "error": None,
        "n_real": reply.n_real,
        "n_synthetic": reply.n_synthetic,
        "loss": finite(reply.loss),
        "signal": finite(float(outcome.signals.values[k])),
        "raw_weight": finite(float(weights.raw[k])),
        "weight": float(weights.weight[k]),
        "drawn_down": any(weights.drawn_down[k : k + 1]),
        "guard": outcome.guard(k, steered),
        "note": outcome.note,
        "seconds": reply.seconds,
    }


def train_rows(
    accepted: Sequence[ClientReply], failed: Mapping[int, str], outcome: Outcome, steered: bool
) -> list[Row]:
    """Describe all clients of a round's training, by partition id.

    Usable replies are in the order of the outcome; of the others there are reasons.
    """
    rows = [failed_row(client, reason) for client, reason in failed.items()]
    rows += [train_row(reply, outcome, k, steered) for k, reply in enumerate(accepted)]
    return sorted(rows, key=_client)


def evaluate_rows(accepted: Sequence[ClientReply], failed: Mapping[int, str]) -> list[Row]:
    """Describe all clients of a round's evaluation, by partition id."""
    rows = [failed_evaluation(client, reason) for client, reason in failed.items()]
    return sorted([*rows, *map(evaluate_row, accepted)], key=_client)


def evaluate_row(reply: ClientReply) -> Row:
    """Describe a client that evaluated the new global model."""
    return {
        "client": reply.client,
        "error": None,
        "test_loss": finite(reply.loss),
        "test_counts": reply.counts.tolist(),
    }


def failed_evaluation(client: int, error: str | None) -> Row:
    """Describe a client that could not evaluate."""
    return {"client": client, "error": error, "test_loss": None, "test_counts": None}


def finite(value: float) -> float | None:
    """Return a number that JSON can hold, or ``None``."""
    return float(value) if math.isfinite(value) else None


def _client(row: Row) -> int:
    return int(row["client"])
