"""Rounds of federated zero-shot learning: clients train, generators are averaged, one is selected.

As `fairfed.rounds`, with another aggregate and another judge: the mean counts every client the
same, and what is measured is the server's classifier on validation classes.
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
from fairfed.loops import (
    Plan,
    accepted_model,
    exchange,
    give_up,
    restore_states,
    saved_progress,
    saved_states,
)
from fairfed.strategies.aggregate import Model, weighted_mean
from fairfed.zsl.classify import ZslScores

TRAIN = "train.zsl"
REPORTED = ("n-real", "loss-discriminator", "loss-generator", "seconds")
"""What a client says of its training beside the weights."""


@dataclass
class Progress:
    """What a round changes.

    Attributes
    ----------
    round, arrays
        The last round, and the generator after it.
    best_round, best_arrays, best
        The selected round, its generator, and its scores on validation classes; without validation
        classes the last round, and no scores.
    failed
        Rounds in a row without a usable reply.
    """

    round: int
    arrays: Model
    best_round: int = 0
    best_arrays: Model = field(default_factory=dict)
    best: dict[str, float] | None = None
    failed: int = 0


@dataclass(frozen=True)
class ZslPlan(Plan):
    """What stays the same from round to round (`fairfed.loops.Plan`).

    Attributes
    ----------
    validate
        Scores of a generator of some round on validation classes; None without any.
    """

    validate: Callable[[Model, int], ZslScores | None]


def train_rounds(
    grid: Grid, plan: ZslPlan, start: Model, checkpoint: Path, log: Callable[[dict[str, Any]], None]
) -> Progress:
    """Train from the checkpoint, or from `start`, to the last round.

    Every round hands a line to `log`, then replaces the checkpoint. Selected is the round with the
    largest harmonic mean H on validation rows, the earliest of equals; the test is never looked at.

    Raises
    ------
    InputError
        If the checkpoint is of another run.
    fairfed.errors.RunError
        If no client gives a usable reply in three rounds in a row.
    """
    progress = _resume(grid, plan, start, checkpoint)
    while progress.round < plan.rounds:
        line, error = _round(grid, plan, progress)
        log(line)
        give_up(progress.failed, progress.round, plan.rounds, error)
        _save(grid, plan, progress, checkpoint)
    return progress


def _round(grid: Grid, plan: ZslPlan, progress: Progress) -> tuple[dict[str, Any], str | None]:
    """One round on `progress`: its line, and its first error."""
    started = time.perf_counter()
    progress.round += 1
    number, before = progress.round, progress.arrays
    nodes = sample(plan.sites, plan.fraction, plan.seed, number)
    rows: dict[int, dict[str, Any]] = {}
    models = []
    for client, reply in exchange(grid, plan, TRAIN, before, number, nodes, rows):
        model = accepted_model(reply, REPORTED, before, rows[client])
        models += [model] if model is not None else []
    progress.failed = 0 if models else progress.failed + 1
    if models:
        progress.arrays = weighted_mean(models, [1 / len(models)] * len(models))
    scores = _select(plan, progress)
    line = {
        "round": progress.round,
        "seconds": time.perf_counter() - started,
        "clients": [rows[client] for client in sorted(rows)],
        "validation": None if scores is None else scores.row(),
    }
    return line, next((row["error"] for row in rows.values() if row["error"]), None)


def _select(plan: ZslPlan, progress: Progress) -> ZslScores | None:
    """Judge the round, and remember it if it is the best so far."""
    scores = plan.validate(progress.arrays, progress.round)
    if scores is None or progress.best is None or scores.harmonic > progress.best["H"]:
        progress.best_round, progress.best_arrays = progress.round, progress.arrays
        progress.best = None if scores is None else scores.row()
    return scores


def _save(grid: Grid, plan: ZslPlan, progress: Progress, path: Path) -> None:
    state = {
        "best_round": progress.best_round,
        "best": progress.best,
        "failed": progress.failed,
        **plan.identity,
    }
    now = checkpoints.Checkpoint(
        progress.round, progress.arrays, state, saved_states(grid), progress.best_arrays
    )
    checkpoints.save(path, now)


def _resume(grid: Grid, plan: ZslPlan, start: Model, path: Path) -> Progress:
    """Where to go on: after the checkpoint if there is one, else before round 1."""
    saved = saved_progress(path, plan.identity, start)
    if saved is None:
        return Progress(0, start, 0, start)
    restore_states(grid, saved.clients)
    return Progress(
        saved.round,
        dict(saved.arrays),
        int(saved.state["best_round"]),
        dict(saved.strategy),
        saved.state["best"],
        int(saved.state["failed"]),
    )
