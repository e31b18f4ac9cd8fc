"""What the run log says about one client in one round (keys of ``rounds.jsonl``)."""

from __future__ import annotations

import math
from typing import Any

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


def _whole(value: float) -> int | float | None:
    """Return a count as an integer where it is one."""
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else value
