"""Rounds of federated zero-shot learning: clients train, generators are averaged, one is selected.

As `fairfed.rounds`, with another aggregate and another judge: the mean counts every client the
same, and what is measured is the server's classifier on validation classes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid

from fairfed import checkpoint as checkpoints
from fairfed.engines.exchange import ask, sample
from fairfed.errors import RunError
from fairfed.rounds import (
    ALL_FAILED,
    DIFFERS,
    MAX_FAILED_ROUNDS,
    OTHER_MODEL,
    KeepsClientStates,
)
from fairfed.strategies.aggregate import Model, decode, encode, flaw, weighted_mean
from fairfed.zsl.classify import ZslScores
from semantic.errors import InputError

logger = logging.getLogger("fairfed")

REPORTED = ("n-real", "loss-discriminator", "loss-generator", "seconds")
"""What a client says of its training beside the weights."""
NO_REPORT = "the reply has no finite number '{name}' in its 'metrics'"


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
class Plan:
    """What stays the same from round to round.

    Attributes
    ----------
    sites
        Partition id by node id.
    request
        What every message tells a client.
    rounds, seed, fraction, timeout
        As in `fairfed.rounds.run_rounds`.
    validate
        Scores of a generator of some round on validation classes; None without any.
    """

    sites: Mapping[int, int]
    request: Mapping[str, str | float]
    rounds: int
    seed: int
    fraction: float
    timeout: float
    validate: Callable[[Model, int], ZslScores | None]

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must share with the run that continues it."""
        clients = sorted(self.sites.values())
        return {"seed": self.seed, "fraction": self.fraction, "clients": clients}


def train_rounds(
    grid: Grid, plan: Plan, start: Model, checkpoint: Path, log: Callable[[dict[str, Any]], None]
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
        if progress.failed >= MAX_FAILED_ROUNDS:
            text = ALL_FAILED.format(count=progress.failed, round=progress.round, error=error)
            raise RunError(text)
        _save(grid, plan, progress, checkpoint)
    return progress


def _round(grid: Grid, plan: Plan, progress: Progress) -> tuple[dict[str, Any], str | None]:
    """One round on `progress`: its line, and its first error."""
    started = time.perf_counter()
    progress.round += 1
    sent = encode(progress.arrays)
    settings = ConfigRecord({**plan.request, "round": progress.round})
    requests = [
        Message(RecordDict({"arrays": sent, "config": settings}), node, "train.zsl")
        for node in sample(plan.sites, plan.fraction, plan.seed, progress.round)
    ]
    answers, errors = ask(grid, requests, plan.timeout)
    rows, models = [], []
    for request in requests:
        node = request.metadata.dst_node_id
        row: dict[str, Any] = {"client": plan.sites[node], "error": errors.get(node)}
        row["bytes_down"] = sent.count_bytes()
        if node in answers:
            model = _accept(answers[node], progress.arrays, row)
            models += [model] if model is not None else []
        if row["error"] is not None:
            logger.warning("client %d failed: %s", row["client"], row["error"])
        rows.append(row)
    progress.failed = 0 if models else progress.failed + 1
    if models:
        progress.arrays = weighted_mean(models, [1 / len(models)] * len(models))
    scores = _select(plan, progress)
    line = {
        "round": progress.round,
        "seconds": time.perf_counter() - started,
        "clients": rows,
        "validation": None if scores is None else scores.row(),
    }
    return line, next((row["error"] for row in rows if row["error"] is not None), None)


def _accept(reply: Message, like: Model, row: dict[str, Any]) -> Model | None:
    """A client's generator, or None and why not in its row."""
    content = reply.content
    row["bytes_up"] = sum(record.count_bytes() for record in content.array_records.values())
    metrics = content.metric_records.get("metrics", MetricRecord())
    for name in REPORTED:
        value = metrics.get(name)
        if not isinstance(value, int | float) or value - value != 0:  # also NaN and infinity
            row["error"] = NO_REPORT.format(name=name)
            return None
        row[name.replace("-", "_")] = value
    try:
        model = decode(content.array_records.get("arrays", ArrayRecord()))
    except ValueError as error:
        row["error"] = str(error)
        return None
    row["error"] = flaw(model, like)
    return model if row["error"] is None else None


def _select(plan: Plan, progress: Progress) -> ZslScores | None:
    """Judge the round, and remember it if it is the best so far."""
    scores = plan.validate(progress.arrays, progress.round)
    if scores is None or progress.best is None or scores.harmonic > progress.best["H"]:
        progress.best_round, progress.best_arrays = progress.round, progress.arrays
        progress.best = None if scores is None else scores.row()
    return scores


def _save(grid: Grid, plan: Plan, progress: Progress, path: Path) -> None:
    state = {
        "best_round": progress.best_round,
        "best": progress.best,
        "failed": progress.failed,
        **plan.identity,
    }
    clients = grid.client_states() if isinstance(grid, KeepsClientStates) else {}
    checkpoints.save(
        path,
        checkpoints.Checkpoint(
            progress.round, progress.arrays, state, clients, progress.best_arrays
        ),
    )


def _resume(grid: Grid, plan: Plan, start: Model, path: Path) -> Progress:
    """Where to go on: after the checkpoint if there is one, else before round 1."""
    if not path.exists():
        return Progress(0, start, 0, start)
    saved = checkpoints.load(path)
    reason = flaw(saved.arrays, start)
    if reason is not None:
        raise InputError(OTHER_MODEL.format(path=path, reason=reason))
    for name, here in plan.identity.items():
        found = saved.state.get(name)
        if found != here:
            raise InputError(DIFFERS.format(path=path, name=name, saved=found, here=here))
    if isinstance(grid, KeepsClientStates):
        grid.load_client_states(saved.clients)
    logger.info("continuing after round %d from %s", saved.round, path)
    return Progress(
        saved.round,
        dict(saved.arrays),
        int(saved.state["best_round"]),
        dict(saved.strategy),
        saved.state["best"],
        int(saved.state["failed"]),
    )
