"""What a client's reply must hold, read once and checked."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord
from numpy.typing import NDArray

from fairfed.rounds.arrays import Model, decode, validate_update
from fairfed.rounds.entries import MISSING_RECORD, Entries, RejectedReply

__all__ = [
    "ClientReply",
    "RejectedReply",
    "ReplyKeys",
    "partition_of",
    "read_model",
    "read_reply",
    "sort_replies",
    "totals",
]

logger = logging.getLogger("fairfed")

TWICE = "client %s answered twice in one round: the second reply is ignored"


@dataclass(frozen=True)
class ReplyKeys:
    """Names in the records of requests and replies.

    Attributes
    ----------
    arrays, config, metrics : str
        Records of a message.
    round : str
        Entry of the config record that holds the round.
    ask_loss, cell_weights, cell_target : str
        Entries of the config record of requests to train, where the strategy needs them: that the
        client shall report the loss of the received model; weights of training examples by group
        and class, flat; the distribution that weighted examples shall follow, likewise.
    extra_cells, new_cells : str
        Likewise, where it replans: synthetic examples by class and group, flat, that the client
        shall have beyond its own plan; those of them that the last plan added.
    received_loss : str
        That loss, in the metrics record; absent unless asked for.
    partition, loss, n_real, n_synthetic, counts, seconds : str
        Entries of the metrics record. ``seconds`` may be absent.
    generated, reused : str
        There, too, in answer to ``extra_cells``: synthetic examples made and found for the last
        plan; from clients that invert the model, examples made and found in this round.
    inverting : str
        There, too, the seconds of that inversion.
    """

    arrays: str = "arrays"
    config: str = "config"
    metrics: str = "metrics"
    round: str = "round"
    ask_loss: str = "ask-loss"
    cell_weights: str = "cell-weights"
    cell_target: str = "cell-target"
    extra_cells: str = "extra-cells"
    new_cells: str = "new-cells"
    received_loss: str = "received-loss"
    partition: str = "partition-id"
    loss: str = "loss"
    n_real: str = "n-real"
    n_synthetic: str = "n-synthetic"
    counts: str = "counts"
    seconds: str = "seconds"
    generated: str = "generated"
    reused: str = "reused"
    inverting: str = "inversion-seconds"


@dataclass(frozen=True)
class ClientReply:
    """A reply's content."""

    client: int  # partition id
    loss: float  # mean loss; may be NaN
    # Numbers of examples as reported (``n_synthetic`` is 0 in replies to ``evaluate``)
    n_real: int
    n_synthetic: int
    counts: NDArray[np.int64]  # ``[G, C, C]``: confusion counts
    seconds: float  # time that the client took
    # The model; empty in replies to ``evaluate``
    arrays: ArrayRecord = field(default_factory=ArrayRecord)
    # Mean loss of the received model on the client's real training examples; NaN if not sent
    received_loss: float = float("nan")
    # Synthetic examples made and found for the last plan, or by inversion; (0, 0) if not sent
    spent: tuple[int, int] = (0, 0)
    inverting: float = 0.0  # seconds of inversion; 0 if not sent


def partition_of(message: Message, keys: ReplyKeys, sites: Mapping[int, int] | None) -> int:
    """Return who sent a reply: by the handshake if there was one, else by what the reply says.

    A client that names itself wrongly or not at all is rejected.
    """
    said = Entries(message.content, keys.metrics).partition(keys.partition)
    if sites is None:
        return said
    known = sites.get(message.metadata.src_node_id)
    if known != said:
        raise RejectedReply(f"the reply says '{keys.partition}' {said}, the handshake said {known}")
    return said


def read_reply(
    message: Message,
    keys: ReplyKeys,
    shape: tuple[int, int],
    client: int,
    train: bool,
    masked: bool = False,
) -> ClientReply:
    """Read a reply to ``train``, which must hold a model and synthetic examples, or ``evaluate``.

    `shape` are the numbers of groups and classes, `client` is the partition id of the sender. A
    model that is `masked` comes later.

    Raises
    ------
    RejectedReply
        A record or an entry is missing, has the wrong type or is out of range.
    """
    said = Entries(message.content, keys.metrics)
    arrays = message.content.array_records.get(keys.arrays)
    if train and arrays is None and not masked:
        found = sorted(message.content.array_records)
        raise RejectedReply(
            MISSING_RECORD.format(kind="ArrayRecord", name=keys.arrays, found=found)
        )
    spent = tuple(said.count(key) if key in said else 0 for key in (keys.generated, keys.reused))
    return ClientReply(
        client=client,
        loss=said.number(keys.loss),
        n_real=said.count(keys.n_real),
        n_synthetic=said.count(keys.n_synthetic) if train else 0,
        counts=said.confusion(keys.counts, shape),
        seconds=_seconds(said, keys.seconds),
        arrays=arrays if arrays is not None else ArrayRecord(),
        received_loss=said.number(key) if (key := keys.received_loss) in said else float("nan"),
        spent=(spent[0], spent[1]),
        inverting=_seconds(said, keys.inverting),
    )


def _seconds(said: Entries, name: str) -> float:
    """Return a time that need not be told; 0 if it is not."""
    return said.seconds(name) if name in said else 0.0


def read_model(record: ArrayRecord, like: Model | None) -> Model:
    """Read a client's model and compare it with another, where there is one already.

    Arrays that cannot be read, are not those of `like`, or are not finite are rejected.
    """
    try:
        model = decode(record)
    except ValueError as error:
        raise RejectedReply(str(error)) from error
    reason = validate_update(model, like or model)
    if reason is not None:
        raise RejectedReply(reason)
    return model


def sort_replies(
    replies: Iterable[Message],
    keys: ReplyKeys,
    sites: Mapping[int, int] | None,
    accept: Callable[[Message, int], ClientReply],
    names: Mapping[int, str] | None = None,
) -> tuple[list[ClientReply], dict[int, str]]:
    """Split replies, error replies too, into those that can be used and reasons for the others.

    Both are by partition id (reasons by node id where the client did not say who it is). `sites`
    has partition ids by node id, where a handshake gave them; `accept` reads a client's reply or
    raises :class:`RejectedReply`; `names` is what clients are called in the log.
    """
    accepted: dict[int, ClientReply] = {}
    failed: dict[int, str] = {}
    for message in sorted(replies, key=lambda m: m.metadata.src_node_id):
        node = message.metadata.src_node_id
        client = (sites or {}).get(node, node)
        try:
            if message.has_error():
                raise RejectedReply(message.error.reason or "error without a reason")
            client = partition_of(message, keys, sites)
            if client in accepted:
                logger.warning(TWICE, (names or {}).get(client, client))
                continue
            accepted[client] = accept(message, client)
        except RejectedReply as reason:
            failed[client] = str(reason)
            name = (names or {}).get(client, client)
            logger.warning("client %s is left out: %s", name, reason)
    return [accepted[client] for client in sorted(accepted)], failed


def totals(replies: Sequence[ClientReply], rejected: int, keys: ReplyKeys) -> MetricRecord:
    """Add up counts and examples of all clients; average the loss over real examples."""
    counts = np.sum([reply.counts for reply in replies], axis=0, dtype=np.int64)
    known = [r for r in replies if math.isfinite(r.loss) and r.n_real > 0]
    real = sum(r.n_real for r in known)
    return MetricRecord(
        {
            keys.loss: sum(r.loss * r.n_real for r in known) / real if real else 0.0,
            keys.n_real: real,
            keys.n_synthetic: sum(r.n_synthetic for r in replies),
            keys.counts: [int(count) for count in counts.ravel()],
            "clients": len(replies),
            "rejected": rejected,
        }
    )
