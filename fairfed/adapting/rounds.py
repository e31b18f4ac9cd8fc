"""Rounds of domain specialisation: clients train a LoRA, the server averages, all judge the mean.

As `fairfed.rounds`, with plain FedAvg over numbers of images, and a loss instead of counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.serverapp import Grid

from fairfed import checkpoint as checkpoints
from fairfed.engines.exchange import sample
from fairfed.errors import RunError
from fairfed.loops import Plan, accepted_model, exchange, give_up, reported_numbers, saved_progress
from fairfed.strategies.aggregate import Model, weighted_mean

TRAIN, EVALUATE = "train.specialise", "evaluate.specialise"
TRAINED, JUDGED = ("n-real", "loss", "seconds"), ("n-real", "loss")
"""What a client says of its training, and of its held-out images."""
NOBODY = "no client could judge the LoRA; the first error is: {error}"


@dataclass
class Progress:
    """What a round changes.

    Attributes
    ----------
    round, arrays
        The last round, and the LoRA after it.
    losses
        Mean loss on held-out images before the first round and after each one.
    failed
        Rounds in a row without a usable reply.
    """

    round: int
    arrays: Model
    losses: list[float] = field(default_factory=list)
    failed: int = 0


def train_rounds(
    grid: Grid, plan: Plan, start: Model, checkpoint: Path, log: Callable[[dict[str, Any]], None]
) -> Progress:
    """Train from the checkpoint, or from `start`, to the last round.

    Every round hands a line to `log`, then replaces the checkpoint.

    Raises
    ------
    InputError
        If the checkpoint is of another run.
    fairfed.errors.RunError
        If nobody can judge the LoRA, or no client gives a usable reply in three rounds in a row.
    """
    progress = _resume(plan, start, checkpoint)
    if not progress.losses:
        progress.losses.append(_judge(grid, plan, progress, {}))
    while progress.round < plan.rounds:
        line, error = _round(grid, plan, progress)
        log(line)
        give_up(progress.failed, progress.round, plan.rounds, error)
        _save(plan, progress, checkpoint)
    return progress


def _round(grid: Grid, plan: Plan, progress: Progress) -> tuple[dict[str, Any], str | None]:
    """One round on `progress`: its line, and its first error."""
    started = time.perf_counter()
    progress.round += 1
    nodes = sample(plan.sites, plan.fraction, plan.seed, progress.round)
    rows: dict[int, dict[str, Any]] = {}
    trained = []
    number, before = progress.round, progress.arrays
    for client, reply in exchange(grid, plan, TRAIN, before, number, nodes, rows):
        model = accepted_model(reply, TRAINED, before, rows[client])
        if model is not None:
            trained.append((model, float(rows[client]["n_real"])))
    total = sum(weight for _, weight in trained)
    progress.failed = 0 if total else progress.failed + 1
    if total:
        models, weights = zip(*trained, strict=True)
        progress.arrays = weighted_mean(models, [weight / total for weight in weights])
    progress.losses.append(_judge(grid, plan, progress, rows))
    line = {
        "round": progress.round,
        "seconds": time.perf_counter() - started,
        "loss": progress.losses[-1],
        "clients": [rows[client] for client in sorted(rows)],
    }
    return line, next((row["error"] for row in rows.values() if row["error"]), None)


def _judge(grid: Grid, plan: Plan, progress: Progress, rows: dict[int, dict[str, Any]]) -> float:
    """Mean loss of the LoRA on the held-out images of all clients together."""
    total, images = 0.0, 0.0
    now, number = progress.arrays, progress.round
    for client, reply in exchange(grid, plan, EVALUATE, now, number, plan.sites, rows):
        said = reported_numbers(reply, JUDGED, rows[client])
        if said is not None:
            images += said["n-real"]
            total += said["loss"]
            rows[client]["test_loss"] = said["loss"] / said["n-real"] if said["n-real"] else None
    if not images:
        error = next((row["error"] for row in rows.values() if row["error"]), "no held-out image")
        raise RunError(NOBODY.format(error=error))
    return total / images


def _save(plan: Plan, progress: Progress, path: Path) -> None:
    state = {"losses": progress.losses, "failed": progress.failed, **plan.identity}
    checkpoints.save(path, checkpoints.Checkpoint(progress.round, progress.arrays, state))


def _resume(plan: Plan, start: Model, path: Path) -> Progress:
    """Where to go on: after the checkpoint if there is one, else before round 1."""
    saved = saved_progress(path, plan.identity, start)
    if saved is None:
        return Progress(0, start)
    losses, failed = list(saved.state["losses"]), int(saved.state["failed"])
    return Progress(saved.round, dict(saved.arrays), losses, failed)
