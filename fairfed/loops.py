"""What all loops over rounds share: who takes part, whose reply counts, where to go on.

The loops themselves are in `fairfed.rounds` (classifiers), `fairfed.adapting.rounds`,
`fairfed.zsl.rounds` and `fairfed.peers.rounds`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid

from fairfed import checkpoint as checkpoints
from fairfed.engines.exchange import ask
from fairfed.errors import RunError
from fairfed.strategies.aggregate import Model, decode, encode, flaw
from fairfed.strategies.entries import whole
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
OTHER_MODEL = "checkpoint '{path}' is of another model ({reason}): delete it or use another folder"
DIFFERS = (
    "checkpoint '{path}' is of a run with {name} {saved}, this run has {name} {here}: delete it or "
    "use another folder"
)
NO_REPORT = "the reply has no finite number '{name}' in its 'metrics'"
NO_COUNT = "the reply has no whole number '{name}', from 0 to below 2**53, in its 'metrics'"
LARGEST = 1e300
"""Larger numbers count as infinite: sums of them would be."""


@runtime_checkable
class KeepsClientStates(Protocol):
    """An engine whose clients' states can be saved and restored."""

    def client_states(self) -> dict[int, bytes]:
        """Return the state of every client by partition id."""

    def load_client_states(self, states: Mapping[int, bytes]) -> None:
        """Restore them."""


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
    """

    sites: Mapping[int, int]
    request: Mapping[str, str | float]
    rounds: int
    seed: int
    fraction: float
    timeout: float

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must share with the run that continues it."""
        return identity(self.seed, self.fraction, self.sites)


def identity(seed: int, fraction: float, sites: Mapping[int, int]) -> dict[str, Any]:
    """What a checkpoint must share with the run that continues it."""
    return {"seed": seed, "fraction": fraction, "clients": sorted(sites.values())}


def saved_states(grid: Grid) -> dict[int, bytes]:
    """The clients' states, where the engine gives them."""
    return grid.client_states() if isinstance(grid, KeepsClientStates) else {}


def restore_states(grid: Grid, states: Mapping[int, bytes]) -> None:
    """Give the clients their states back, where the engine can."""
    if isinstance(grid, KeepsClientStates):
        grid.load_client_states(states)


def saved_progress(
    path: Path, shared: Mapping[str, Any], like: Model | None = None
) -> checkpoints.Checkpoint | None:
    """The checkpoint to go on from, or None where there is none.

    Parameters
    ----------
    path
        Its file.
    shared
        What its state must say; see `identity`.
    like
        A model whose names, shapes and types its arrays must have; unchecked without one.

    Raises
    ------
    InputError
        If it is damaged, or of another model or run.
    """
    if not path.exists():
        return None
    saved = checkpoints.load(path)
    reason = None if like is None else flaw(saved.arrays, like)
    if reason is not None:
        raise InputError(OTHER_MODEL.format(path=path, reason=reason))
    for name, here in shared.items():
        found = saved.state.get(name)
        if found != here:
            raise InputError(DIFFERS.format(path=path, name=name, saved=found, here=here))
    logger.info("continuing after round %d from %s", saved.round, path)
    return saved


def give_up(failed: int, number: int, rounds: int, error: str | None, arm: object = None) -> None:
    """End the run if too many rounds in a row have failed, or all of a shorter run.

    Parameters
    ----------
    failed
        Rounds in a row without a usable reply.
    number, rounds
        The round that is over, and that of the end.
    error
        First error of the last round.
    arm
        Name or slug of the arm, where there are some.

    Raises
    ------
    fairfed.errors.RunError
        With the arm and the error.
    """
    if failed >= min(MAX_FAILED_ROUNDS, rounds):
        of = f"arm '{arm}': " if arm else ""
        raise RunError(ALL_FAILED.format(arm=of, count=failed, round=number, error=error))


def exchange(
    grid: Grid,
    plan: Plan,
    kind: str,
    arrays: Model,
    number: int,
    nodes: Iterable[int],
    rows: dict[int, dict[str, Any]],
) -> list[tuple[int, Message]]:
    """Send a model to clients and wait for their replies.

    Parameters
    ----------
    kind
        Type of the message.
    arrays, number
        The model, and the round.
    nodes
        Whom to ask.
    rows
        Row by partition id; bytes and errors are put there.

    Returns
    -------
    Replies by partition id, ascending, of the clients that gave one.
    """
    sent = encode(arrays)
    settings = ConfigRecord({**plan.request, "round": number})
    content = RecordDict({"arrays": sent, "config": settings})
    asked = sorted(nodes, key=plan.sites.__getitem__)
    answers, errors = ask(grid, [Message(content, node, kind) for node in asked], plan.timeout)
    replies = []
    for node in asked:
        client = plan.sites[node]
        row = rows.setdefault(
            client, {"client": client, "error": None, "bytes_down": 0, "bytes_up": 0}
        )
        row["bytes_down"] += sent.count_bytes()
        if node in errors:
            row["error"] = errors[node]
            logger.warning("client %d failed: %s", client, errors[node])
            continue
        held = answers[node].content.array_records.values()
        row["bytes_up"] += sum(record.count_bytes() for record in held)
        replies.append((client, answers[node]))
    return replies


def _reject(row: dict[str, Any], reason: str) -> None:
    """Note in a client's row, and in the log, why its reply is of no use."""
    row["error"] = reason
    logger.warning("reply of client %s rejected: %s", row["client"], reason)


def reported_numbers(
    reply: Message, names: Iterable[str], row: dict[str, Any]
) -> dict[str, float] | None:
    """Finite numbers of a reply's metrics, whole ones for `n-…`; None, and why not logged."""
    metrics = reply.content.metric_records.get("metrics", MetricRecord())
    found: dict[str, float] = {}
    for name in names:
        counts = name.startswith("n-")
        value = whole(metrics.get(name)) if counts else _finite(metrics.get(name))
        if value is None:
            _reject(row, (NO_COUNT if counts else NO_REPORT).format(name=name))
            return None
        found[name] = value
    return found


def _finite(value: object) -> float | None:
    """Return a number of which sums are finite, else None."""
    usable = isinstance(value, int | float) and abs(value) <= LARGEST
    return value if usable else None  # type: ignore[return-value]


def accepted_model(
    reply: Message, names: Iterable[str], like: Model, row: dict[str, Any]
) -> Model | None:
    """A client's model, its numbers in the row; None, and why not in row and log."""
    said = reported_numbers(reply, names, row)
    if said is None:
        return None
    row.update({name.replace("-", "_"): value for name, value in said.items()})
    try:
        model = decode(reply.content.array_records.get("arrays", ArrayRecord()))
    except ValueError as error:
        _reject(row, str(error))
        return None
    reason = flaw(model, like)
    if reason is not None:
        _reject(row, reason)
        return None
    return model
