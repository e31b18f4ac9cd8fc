"""The loop over rounds of every system: ask, log, give up, keep a checkpoint, go on from it.

Flower's ``Strategy.start`` begins at round 1, cannot be resumed, draws clients by node ids that
change from run to run, adds models in order of arrival and loses who failed. This loop does not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from flwr.serverapp import Grid

from fairfed.errors import RunError
from fairfed.rounds import checkpoint as checkpoints
from fairfed.rounds.arm_server import ArmServer, Plan, Row
from fairfed.rounds.arrays import Model, validate_update
from fairfed.rounds.exchange import Answers, Client, Exchange, drive, perform
from semantic.errors import InputError

logger = logging.getLogger("fairfed")

MAX_FAILED_ROUNDS = 3
"""Consecutive rounds without a usable reply after which a run is given up; a shorter run after
all of its own."""

ALL_FAILED = (
    "{arm}no client gave a usable reply in {count} rounds in a row (last: round {round}); the "
    "first error of the last round is: {error}. Where models are not finite, a smaller train.lr "
    "helps"
)
NO_ERROR = "none of a client; the warnings in the log say why the new model was not used"
OTHER_RUN = "checkpoint '{path}' is of another run: {reason}. Delete it or use another folder"
OTHER_MODEL = "checkpoint '{path}' is of another model ({reason}): delete it or use another folder"
DIFFERS = (
    "checkpoint '{path}' is of a run with {name} {saved}, this run has {name} {here}: delete it or "
    "use another folder"
)
NO_STATES = (
    "checkpoint '{path}' cannot be continued on this engine, which does not give back the clients' "
    "states, where the models are: use engine = 'inprocess', or start over with --fresh"
)
FORMERLY_UNSAID = {"fraction": 1.0}
"""What old checkpoints of peers do not say, all of whom take part in every round."""


@runtime_checkable
class KeepsClientStates(Protocol):
    """An engine whose clients' states can be saved and restored."""

    def client_states(self) -> dict[int, bytes]:
        """Return the state of every client by partition id."""

    def load_client_states(self, states: Mapping[int, bytes]) -> None:
        """Restore them."""


@dataclass
class _Progress:
    """What changes from round to round, beside the server's own state."""

    round: int
    model: Model
    failed: int = 0


def run_rounds(
    grid: Grid,
    clients: Sequence[Client],
    server: ArmServer,
    plan: Plan,
    log: Callable[[dict[str, Any]], None],
    checkpoint: Path | None,
) -> Model:
    """Run federated rounds and return the last model.

    In each round the server says what to ask of which clients; the loop asks, attributes answers,
    errors and bytes to clients, hands one line to ``log`` and replaces the checkpoint. A client
    that fails is an entry with its error; a round in which all fail leaves the model as it is.

    ``log`` takes a line of ``rounds.jsonl`` (without ``"arm"``) before the checkpoint is written:
    after a crash between the two, a round is logged twice, with equal content. The checkpoint is a
    file to continue from if it exists, and holds the server's state.

    Raises `InputError` if the checkpoint is damaged, belongs to another model, seed or strategy, or
    cannot be continued on this engine; `RunError`, with the arm and the first error, if there is no
    usable reply in three rounds in a row, or in any of a shorter run.
    """
    identity = {
        "seed": plan.seed,
        "fraction": plan.fraction,
        "clients": [client.index for client in clients],
    }
    progress = None if checkpoint is None else _resume(checkpoint, grid, server, identity)
    if progress is None:
        progress = _Progress(0, server.start())
        drive(
            server.before(progress.model),
            lambda exchange: perform(grid, clients, exchange, plan.timeout),
        )
    while progress.round < plan.rounds:
        line, error = _round(grid, clients, server, plan, progress)
        log(line)
        _give_up(progress, plan, error)
        if checkpoint is not None:
            _save(checkpoint, grid, server, progress, identity)
    return progress.model


def _round(
    grid: Grid, clients: Sequence[Client], server: ArmServer, plan: Plan, progress: _Progress
) -> tuple[dict[str, Any], str]:
    """Run one round on ``progress``; return its line and the first error of a client."""
    started = time.perf_counter()
    progress.round += 1
    answered: list[Answers] = []

    def ask(exchange: Exchange) -> Answers:
        answered.append(perform(grid, clients, exchange, plan.timeout))
        return answered[-1]

    result = drive(server.round(progress.round, progress.model), ask)
    progress.failed = 0 if result.model is not None else progress.failed + 1
    if result.model is not None:
        progress.model = result.model
    known = set(result.rows).union(*(answers.names for answers in answered))
    rows = [
        _row(client, result.rows.get(client.index, {}), answered)
        for client in clients
        if client.index in known
    ]
    line = {
        "round": progress.round,
        "seconds": time.perf_counter() - started,
        "clients": rows,
        **result.entries,
    }
    return line, next((row["error"] for row in rows if row["error"]), NO_ERROR)


def _row(client: Client, own: Row, answered: Sequence[Answers]) -> Row:
    """What the log says of a client: its first error, and its bytes unless the server counts."""
    errors = [a.errors[client.index] for a in answered if client.index in a.errors]
    row = {
        "client": client.index,
        "name": client.name,
        "error": None,
        "bytes_down": sum(answers.down.get(client.index, 0) for answers in answered),
        "bytes_up": sum(answers.up.get(client.index, 0) for answers in answered),
        **own,
    }
    row["error"] = errors[0] if errors else own.get("error")
    return row


def _give_up(progress: _Progress, plan: Plan, error: str) -> None:
    """End the run if too many rounds in a row have failed, or all of a shorter run."""
    if progress.failed >= min(MAX_FAILED_ROUNDS, plan.rounds):
        arm = f"arm '{plan.arm}': " if plan.arm else ""
        raise RunError(
            ALL_FAILED.format(arm=arm, count=progress.failed, round=progress.round, error=error)
        )


def _save(
    path: Path, grid: Grid, server: ArmServer, progress: _Progress, identity: Mapping[str, Any]
) -> None:
    """Keep what the next round depends on."""
    kept = checkpoints.Checkpoint(
        round=progress.round,
        arrays=progress.model,
        state={**server.state(), "failed": progress.failed, **identity},
        clients=grid.client_states() if isinstance(grid, KeepsClientStates) else {},
        strategy=server.arrays(),
    )
    checkpoints.save(path, kept)


def _resume(
    path: Path, grid: Grid, server: ArmServer, identity: Mapping[str, Any]
) -> _Progress | None:
    """Where to go on after a checkpoint; None where there is none."""
    if not path.exists():
        return None
    saved = checkpoints.load(path)
    reason = validate_update(saved.arrays, server.start())
    if reason is not None:
        raise InputError(OTHER_MODEL.format(path=path, reason=reason))
    for name, here in identity.items():
        found = saved.state.get(name, FORMERLY_UNSAID.get(name))
        if found != here:
            raise InputError(DIFFERS.format(path=path, name=name, saved=found, here=here))
    if isinstance(grid, KeepsClientStates):
        grid.load_client_states(saved.clients)
    elif server.models_at_clients:
        raise InputError(NO_STATES.format(path=path))
    try:
        server.restore(saved.state, dict(saved.strategy))
    except InputError as error:
        raise InputError(OTHER_RUN.format(path=path, reason=error)) from error
    logger.info("continuing after round %d from %s", saved.round, path)
    return _Progress(saved.round, dict(saved.arrays), int(saved.state["failed"]))
