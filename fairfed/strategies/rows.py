"""What the run log says about one client in one round (keys of ``rounds.jsonl``)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fairfed.strategies.aggregation import Outcome
from fairfed.strategies.replies import ClientReply

Row = dict[str, Any]


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
        "guard": None,
        "seconds": 0.0,
    }


def train_row(
    reply: ClientReply, signal: float, raw_weight: float, weight: float, guard: str | None
) -> Row:
    """Describe a client that trained; numbers that are not finite become ``None``."""
    return {
        "client": reply.client,
        "error": None,
        "n_real": _whole(reply.n_real),
        "n_synthetic": _whole(reply.n_synthetic),
        "loss": finite(reply.loss),
        "signal": finite(signal),
        "raw_weight": finite(raw_weight),
        "weight": weight,
        "guard": guard,
        "seconds": reply.seconds,
    }


def train_rows(
    accepted: Sequence[ClientReply], failed: Mapping[int, str], outcome: Outcome, steered: bool
) -> list[Row]:
    """Describe all clients of a round's training, by partition id.

    Parameters
    ----------
    accepted : sequence of ClientReply
        Usable replies, in the order of the outcome.
    failed : mapping of int to str
        Reasons of the others, by partition id.
    outcome : Outcome
        What was measured and applied.
    steered : bool
        Whether the signal moved the weights.
    """
    rows = [failed_row(client, reason) for client, reason in failed.items()]
    signals, weights = outcome.signals, outcome.weights
    for k, reply in enumerate(accepted):
        value, raw, weight = signals.values[k], weights.raw[k], weights.weight[k]
        guard = outcome.guard(k, steered)
        rows.append(train_row(reply, float(value), float(raw), float(weight), guard))
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


def failed_evaluation(client: int, error: str) -> Row:
    """Describe a client that could not evaluate."""
    return {"client": client, "error": error, "test_loss": None, "test_counts": None}


def finite(value: float) -> float | None:
    """Return a number that JSON can hold, or ``None``."""
    return float(value) if math.isfinite(value) else None


def _client(row: Row) -> int:
    return int(row["client"])


def _whole(value: float) -> int | float | None:
    """Return a count as an integer where it is one."""
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else value
