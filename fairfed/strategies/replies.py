"""What a client's reply must hold, read once and checked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

logger = logging.getLogger("fairfed")

TWICE = "client %d answered twice in one round: the second reply is ignored"
MISSING_RECORD = "the reply has no {kind} '{name}' (it has: {found})"
MISSING_KEY = "the reply's '{record}' has no '{name}' (it has: {found})"
NOT_A_NUMBER = "'{name}' is {value!r}: expected a number"
BAD_COUNTS = "'{name}' must be {expected} counts >= 0 (groups x classes x classes), got {got}"


class RejectedReply(ValueError):  # noqa: N818  (it is the reply that is named, not an error)
    """A reply that cannot be used; the message is the reason for the log."""


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
    """A reply's content.

    Attributes
    ----------
    client : int
        Partition id.
    loss : float
        Mean loss; may be NaN.
    n_real, n_synthetic : float
        Numbers of examples as reported (``n_synthetic`` is 0 in replies to ``evaluate``).
    counts : ndarray of int64, shape (G, C, C)
        Confusion counts.
    seconds : float
        Time that the client took.
    arrays : ArrayRecord
        The model; empty in replies to ``evaluate``.
    received_loss : float
        Mean loss of the received model on the client's real training examples; NaN if not sent.
    spent : tuple of float
        Synthetic examples made and found for the last plan, or by inversion; (0, 0) if not sent.
    inverting : float
        Seconds of inversion; 0 if not sent.
    """

    client: int
    loss: float
    n_real: float
    n_synthetic: float
    counts: NDArray[np.int64]
    seconds: float
    arrays: ArrayRecord = field(default_factory=ArrayRecord)
    received_loss: float = float("nan")
    spent: tuple[float, float] = (0.0, 0.0)
    inverting: float = 0.0


def partition_of(message: Message, keys: ReplyKeys, sites: Mapping[int, int] | None) -> int:
    """Return who sent a reply: by the handshake if there was one, else by what the reply says.

    Raises
    ------
    RejectedReply
        The client names itself wrongly or not at all.
    """
    said = int(_number(_metrics(message.content, keys), keys.partition, keys))
    if sites is None:
        return said
    known = sites.get(message.metadata.src_node_id)
    if known != said:
        raise RejectedReply(f"the reply says '{keys.partition}' {said}, the handshake said {known}")
    return said


def read_reply(
    message: Message, keys: ReplyKeys, shape: tuple[int, int], client: int, train: bool
) -> ClientReply:
    """Read a reply to ``train`` or ``evaluate``.

    Parameters
    ----------
    message : Message
        The reply; it has content.
    keys : ReplyKeys
        Names of records and entries.
    shape : tuple of int
        Groups and classes of the federation.
    client : int
        Partition id of the sender.
    train : bool
        Whether the reply must hold a model and synthetic examples.

    Raises
    ------
    RejectedReply
        A record or an entry is missing or has the wrong type.
    """
    metrics = _metrics(message.content, keys)
    arrays = message.content.array_records.get(keys.arrays)
    if train and arrays is None:
        found = sorted(message.content.array_records)
        raise RejectedReply(
            MISSING_RECORD.format(kind="ArrayRecord", name=keys.arrays, found=found)
        )
    return ClientReply(
        client=client,
        loss=_number(metrics, keys.loss, keys),
        n_real=_number(metrics, keys.n_real, keys),
        n_synthetic=_number(metrics, keys.n_synthetic, keys) if train else 0.0,
        counts=_counts(metrics, keys, shape),
        seconds=_number_or(0.0, metrics, keys.seconds, keys),
        arrays=arrays if arrays is not None else ArrayRecord(),
        received_loss=_number_or(float("nan"), metrics, keys.received_loss, keys),
        spent=(
            _number_or(0.0, metrics, keys.generated, keys),
            _number_or(0.0, metrics, keys.reused, keys),
        ),
        inverting=_number_or(0.0, metrics, keys.inverting, keys),
    )


def sort_replies(
    replies: Iterable[Message],
    keys: ReplyKeys,
    sites: Mapping[int, int] | None,
    accept: Callable[[Message, int], ClientReply],
) -> tuple[list[ClientReply], dict[int, str]]:
    """Split replies into those that can be used and reasons for the others.

    Parameters
    ----------
    replies : iterable of Message
        Replies and error replies, in any order.
    keys : ReplyKeys
        Names of records and entries.
    sites : mapping of int to int, optional
        Partition id by node id, where a handshake gave it.
    accept : callable
        Reads one reply of one client or raises :class:`RejectedReply`.

    Returns
    -------
    accepted : list of ClientReply
        By partition id.
    failed : dict of int to str
        Reasons by partition id (by node id where the client did not say who it is).
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
                logger.warning(TWICE, client)
                continue
            accepted[client] = accept(message, client)
        except RejectedReply as reason:
            failed[client] = str(reason)
            logger.warning("client %d is left out: %s", client, reason)
    return [accepted[client] for client in sorted(accepted)], failed


def totals(replies: Sequence[ClientReply], rejected: int, keys: ReplyKeys) -> MetricRecord:
    """Add up counts and examples of all clients; average the loss over real examples."""
    counts = np.sum([reply.counts for reply in replies], axis=0, dtype=np.int64)
    known = [r for r in replies if np.isfinite([r.loss, r.n_real]).all() and r.n_real > 0]
    real = sum(r.n_real for r in known)
    synthetic = sum(r.n_synthetic for r in replies if np.isfinite(r.n_synthetic))
    return MetricRecord(
        {
            keys.loss: sum(r.loss * r.n_real for r in known) / real if real else 0.0,
            keys.n_real: round(real),
            keys.n_synthetic: round(synthetic),
            keys.counts: [int(count) for count in counts.ravel()],
            "clients": len(replies),
            "rejected": rejected,
        }
    )


def _metrics(content: RecordDict, keys: ReplyKeys) -> MetricRecord:
    """Return the record of metrics."""
    metrics = content.metric_records.get(keys.metrics)
    if metrics is None:
        found = sorted(content.metric_records)
        raise RejectedReply(
            MISSING_RECORD.format(kind="MetricRecord", name=keys.metrics, found=found)
        )
    return metrics


def _entry(metrics: MetricRecord, name: str, keys: ReplyKeys) -> Any:
    """Return an entry that must be there."""
    if name not in metrics:
        text = MISSING_KEY.format(record=keys.metrics, name=name, found=sorted(metrics))
        raise RejectedReply(text)
    return metrics[name]


def _number(metrics: MetricRecord, name: str, keys: ReplyKeys) -> float:
    """Return an entry that must be a number."""
    value = _entry(metrics, name, keys)
    if not isinstance(value, int | float):
        raise RejectedReply(NOT_A_NUMBER.format(name=name, value=value))
    try:
        return float(value)
    except OverflowError:  # an integer beyond the range of doubles
        return float("inf")


def _number_or(default: float, metrics: MetricRecord, name: str, keys: ReplyKeys) -> float:
    """Return an entry that must be a number if it is there."""
    return _number(metrics, name, keys) if name in metrics else default


def _counts(metrics: MetricRecord, keys: ReplyKeys, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Return the confusion counts as ``[G, C, C]``."""
    groups, classes = shape
    expected = groups * classes * classes
    value = _entry(metrics, keys.counts, keys)
    good = isinstance(value, list) and all(isinstance(c, int) and 0 <= c < 2**40 for c in value)
    if not good or len(value) != expected:
        got = f"{len(value)} values" if isinstance(value, list) else repr(value)
        got += "" if good else ", not all of them counts"
        raise RejectedReply(BAD_COUNTS.format(name=keys.counts, expected=expected, got=got))
    return np.asarray(value, np.int64).reshape(groups, classes, classes)
