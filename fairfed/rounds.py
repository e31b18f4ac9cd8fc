"""The round loop: train, aggregate, evaluate, log, checkpoint, on any Flower engine.

Flower's ``Strategy.start`` begins at round 1, cannot be resumed, draws clients by node ids that
change from run to run, adds models in order of arrival and loses who failed. This loop does not.
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
from flwr.app import ArrayRecord, ConfigRecord, ConfigRecordValues, Message
from flwr.serverapp import Grid

from fairfed import checkpoint as checkpoints
from fairfed.engines.exchange import ask, handshake
from fairfed.loops import give_up, identity, restore_states, saved_progress, saved_states
from fairfed.strategies.aggregate import decode, encode
from fairfed.strategies.rows import Row, failed_evaluation, failed_row, idle_row
from fairfed.strategies.steered import FairnessSteered
from semantic.errors import InputError

logger = logging.getLogger("fairfed")

OTHER_RUN = "checkpoint '{path}' is of another run: {reason}. Delete it or use another folder"
NO_ERROR = "none of a client; the warnings in the log say why the new model was not used"


@dataclass
class _Progress:
    """What changes from round to round."""

    round: int
    arrays: ArrayRecord
    failed: int = 0


@dataclass(frozen=True)
class _Exchange:
    """One request to several clients and what came of it, by partition id."""

    replies: list[Message]
    errors: dict[int, str]
    down: dict[int, int] = field(default_factory=dict)
    up: dict[int, int] = field(default_factory=dict)


def run_rounds(
    grid: Grid,
    strategy: FairnessSteered,
    arrays: ArrayRecord,
    rounds: int,
    *,
    config: Mapping[str, ConfigRecordValues],
    seed: int,
    timeout: float,
    checkpoint: Path | None,
    log: Callable[[dict[str, Any]], None],
    fraction: float = 1.0,
    min_nodes: int = 1,
    synthesis_timeout: float | None = None,
) -> ArrayRecord:
    """Run federated rounds and return the last global model.

    Each round sends the model to the clients drawn, merges what comes back, evaluates the *new*
    model on all clients, hands one line to ``log`` and replaces the checkpoint. A client that
    fails is an entry with its error; a round in which all fail leaves the model as it is.

    Parameters
    ----------
    grid : Grid
        Any Flower grid; the ClientApp must answer ``query.describe``.
    strategy : FairnessSteered
        Merges and weighs; its state is in the checkpoint.
    arrays : ArrayRecord
        The model to start from.
    rounds : int
        Number of the last round, >= 0.
    config : mapping
        Settings for the clients, in the ConfigRecord of every request beside ``round``.
    seed : int
        Seed of the draw of clients.
    timeout : float
        Seconds to wait for nodes, and for all replies of one exchange together: in process with
        one worker the clients run one after the other within it.
    checkpoint : Path or None
        File to continue from if it exists, and to write after every round.
    log : callable
        Takes a line of ``rounds.jsonl`` (without ``"arm"``). It is called before the checkpoint is
        written: after a crash between the two, a round is logged twice, with equal content.
    fraction : float
        Share of clients that train in a round, in (0, 1].
    min_nodes : int
        Clients to wait for at the start.
    synthesis_timeout : float, optional
        The ``timeout`` of a training in which clients synthesise what the closed loop has planned.

    Returns
    -------
    ArrayRecord
        The global model after ``rounds``.

    Raises
    ------
    InputError
        The checkpoint is damaged or belongs to another model, seed or strategy.
    TimeoutError
        Fewer than ``min_nodes`` clients in time.
    fairfed.engines.exchange.QueryError
        A client does not say who it is, or two say the same.
    fairfed.errors.RunError
        No usable reply in three rounds in a row, or in any of a shorter run; the message has the
        arm and the first error.
    """
    sites = handshake(grid, min_nodes, timeout)
    strategy.enroll(sites, seed=seed, fraction=fraction)
    shared = identity(seed, fraction, sites)
    progress = _resume(checkpoint, grid, strategy, arrays, shared)
    patience = timeout, synthesis_timeout or timeout
    for number in range(progress.round + 1, rounds + 1):
        line, error = _round(grid, strategy, progress, number, config, patience, sites)
        log(line)
        give_up(progress.failed, number, rounds, error, config.get("arm"))
        if checkpoint is not None:
            checkpoints.save(checkpoint, _snapshot(progress, grid, strategy, shared))
    return progress.arrays


def _round(
    grid: Grid,
    strategy: FairnessSteered,
    progress: _Progress,
    number: int,
    config: Mapping[str, ConfigRecordValues],
    patience: tuple[float, float],
    sites: Mapping[int, int],
) -> tuple[dict[str, Any], str]:
    """Run one round on ``progress``; return its line and the first error of a client."""
    started = time.perf_counter()
    settings = ConfigRecord(dict(config))
    requests = list(strategy.configure_train(number, progress.arrays, settings, grid))
    asked = [sites[request.metadata.dst_node_id] for request in requests]
    synthesising = strategy.loop is not None and strategy.loop.awaits(asked)
    trained = _exchange(grid, requests, patience[synthesising], sites)
    merged, _ = strategy.aggregate_train(number, trained.replies)
    progress.round = number
    progress.failed = 0 if merged is not None else progress.failed + 1
    if merged is not None:
        progress.arrays = merged
    requests = list(strategy.configure_evaluate(number, progress.arrays, settings, grid))
    tested = _exchange(grid, requests, patience[0], sites)
    strategy.aggregate_evaluate(number, tested.replies)
    clients = _rows(strategy, number, trained, tested, sorted(sites.values()))
    errors = [row["error"] for row in clients if row["error"]]
    line = {"round": number, "seconds": time.perf_counter() - started, "clients": clients}
    if number in strategy.loop_log:
        line["loop"] = strategy.loop_log[number]
    if number in strategy.inversion_log:
        line["inversion"] = strategy.inversion_log[number]
    return line, errors[0] if errors else NO_ERROR


def _exchange(
    grid: Grid, requests: list[Message], timeout: float, sites: Mapping[int, int]
) -> _Exchange:
    """Ask clients and attribute answers, errors and bytes to partitions."""
    answers, errors = ask(grid, requests, timeout)
    for node, reason in errors.items():
        logger.warning("client %d failed: %s", sites[node], reason)
    return _Exchange(
        replies=[answers[node] for node in sorted(answers, key=lambda node: sites[node])],
        errors={sites[node]: reason for node, reason in errors.items()},
        down={sites[m.metadata.dst_node_id]: _size(m) for m in requests},
        up={sites[node]: _size(reply) for node, reply in answers.items()},
    )


def _size(message: Message) -> int:
    """Return the bytes of a message's serialised arrays."""
    return sum(record.count_bytes() for record in message.content.array_records.values())


def _rows(
    strategy: FairnessSteered,
    number: int,
    trained: _Exchange,
    tested: _Exchange,
    partitions: list[int],
) -> list[Row]:
    """Join what is known of each client in this round, in order of partition id."""
    train = {row["client"]: row for row in strategy.train_log[number]}
    test = {row["client"]: row for row in strategy.evaluate_log[number]}
    rows = []
    for client in partitions:
        if client in trained.errors:
            row = failed_row(client, trained.errors[client])
        elif client in train:
            row = dict(train[client])
        else:
            row = idle_row(client)
        row["bytes_down"] = trained.down.get(client, 0) + tested.down.get(client, 0)
        row["bytes_up"] = trained.up.get(client, 0) + tested.up.get(client, 0)
        reason = tested.errors.get(client)
        outcome = test.get(client, failed_evaluation(client, reason or ""))
        reason = reason or outcome["error"]
        if reason and row["error"] is None:
            row["error"] = f"evaluate: {reason}"
        row["test_loss"], row["test_counts"] = outcome["test_loss"], outcome["test_counts"]
        rows.append(row)
    return rows


def _snapshot(
    progress: _Progress, grid: Grid, strategy: FairnessSteered, shared: Mapping[str, Any]
) -> checkpoints.Checkpoint:
    """Gather what the next round depends on."""
    return checkpoints.Checkpoint(
        round=progress.round,
        arrays=decode(progress.arrays),
        state={"strategy": strategy.state_dict(), "failed": progress.failed, **shared},
        clients=saved_states(grid),
        strategy=strategy.state_arrays(),
    )


def _resume(
    path: Path | None,
    grid: Grid,
    strategy: FairnessSteered,
    arrays: ArrayRecord,
    shared: Mapping[str, Any],
) -> _Progress:
    """Return where to start: after the checkpoint if there is one, else before round 1."""
    saved = None if path is None else saved_progress(path, shared, decode(arrays))
    if saved is None:
        return _Progress(0, arrays)
    try:
        strategy.load_state_dict(saved.state["strategy"], dict(saved.strategy))
    except InputError as error:
        raise InputError(OTHER_RUN.format(path=path, reason=error)) from error
    restore_states(grid, saved.clients)
    return _Progress(saved.round, encode(saved.arrays), int(saved.state["failed"]))
