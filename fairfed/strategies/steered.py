"""One Flower strategy for every rule that steers aggregation weights by a fairness signal.

Rules: FedAvg (McMahan et al. 2017, arXiv 1602.05629) and FairFed (Ezzeldin et al., AAAI 2023,
arXiv 2110.00857); their mathematics is in :mod:`fairfed.strategies.weights`.

Each round has four steps: read the replies and reject what cannot be used, measure every client's
gap on group counts of the *received* global model, turn gaps into guarded weights, merge.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from fairfed.engines.exchange import handshake, sample, wait_for_nodes
from fairfed.strategies.aggregate import Model, decode, encode, flaw, weighted_mean
from fairfed.strategies.replies import (
    ClientReply,
    RejectedReply,
    ReplyKeys,
    read_reply,
    sort_replies,
    totals,
)
from fairfed.strategies.rows import (
    Row,
    evaluate_row,
    failed_evaluation,
    failed_row,
    train_row,
)
from fairfed.strategies.signals import MetricFn, Signals, gaps
from fairfed.strategies.weights import Weights, fairfed_weights, fedavg_weights
from semantic.errors import InputError

logger = logging.getLogger("fairfed")

Rule = Literal["fedavg", "fairfed"]
RULES: tuple[Rule, ...] = get_args(Rule)

OTHER_STRATEGY = "the saved strategy is {name}={saved!r}, this one has {name}={here!r}"


class FairnessSteered(Strategy):
    """Aggregate clients with weights steered by a fairness signal.

    Works under Flower's ``Strategy.start`` and under :func:`fairfed.rounds.run_rounds`.

    Parameters
    ----------
    shape : tuple of int
        Number of groups and of classes: the counts of a reply have ``groups * classes**2`` entries.
    rule : {"fedavg", "fairfed"}
        How weights follow from signals.
    beta : float
        FairFed's fairness budget, >= 0.
    metric : callable, optional
        Fairness metric of counts ``[G, C, C]``; needed by ``"fairfed"``. Under ``"fedavg"`` the
        signal is logged and not used.
    synthetic_weight : float
        What a synthetic example counts in ``n_k``; a real one counts 1. The default is 0.
    fraction : float
        Share of clients that train in a round, in (0, 1]; all clients evaluate.
    seed : int
        Seed of the draw of clients.
    min_nodes : int
        Clients to wait for before a round.
    node_timeout : float
        Seconds to wait for them.
    keys : ReplyKeys, optional
        Names of records and entries in messages.

    Attributes
    ----------
    train_log, evaluate_log : dict of int to list of dict
        By round, one entry per client with the keys of ``rounds.jsonl``, by partition id. A reply
        that was rejected is there with its reason in ``error``.

    Raises
    ------
    InputError
        Unknown rule, a parameter out of range, or ``"fairfed"`` without a metric.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        rule: Rule = "fedavg",
        beta: float = 0.0,
        metric: MetricFn | None = None,
        synthetic_weight: float = 0.0,
        fraction: float = 1.0,
        seed: int = 0,
        min_nodes: int = 1,
        node_timeout: float = 120.0,
        keys: ReplyKeys | None = None,
    ) -> None:
        _check(rule, beta, metric, synthetic_weight, fraction)
        self.shape, self.rule, self.beta, self.metric = shape, rule, beta, metric
        self.synthetic_weight = synthetic_weight
        self.fraction, self.seed = fraction, seed
        self.min_nodes, self.node_timeout = min_nodes, node_timeout
        self.keys = keys or ReplyKeys()
        self.train_log: dict[int, list[Row]] = {}
        self.evaluate_log: dict[int, list[Row]] = {}
        self._offsets: dict[int, float] = {}
        self._sites: dict[int, int] | None = None
        self._global: Model | None = None

    def enroll(self, sites: Mapping[int, int], *, seed: int, fraction: float) -> None:
        """Fix who the clients are (partition id by node id) and how a round draws them."""
        _check(self.rule, self.beta, self.metric, self.synthetic_weight, fraction)
        self._sites, self.seed, self.fraction = dict(sites), seed, fraction

    # Flower's abstract members

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the global model to the clients drawn for this round."""
        if self.fraction < 1.0 and self._sites is None:
            self._sites = handshake(grid, self.min_nodes, self.node_timeout)
        self._global = decode(arrays)
        nodes = self._nodes(grid)
        if self._sites is not None:
            nodes = sample(self._sites, self.fraction, self.seed, server_round)
        return self._requests("train", server_round, arrays, config, nodes)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the new global model to all clients."""
        return self._requests("evaluate", server_round, arrays, config, self._nodes(grid))

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Merge the models of usable replies; (None, None) if there are none."""
        models: dict[int, Model] = {}

        def accept(message: Message, client: int) -> ClientReply:
            reply = read_reply(message, self.keys, self.shape, client, train=True)
            models[client] = self._model(reply.arrays, models)
            return reply

        accepted, failed = sort_replies(replies, self.keys, self._sites, accept)
        signals, weights = self._weigh(accepted)
        rows = [failed_row(client, reason) for client, reason in failed.items()]
        for k, reply in enumerate(accepted):
            note = signals.notes[k] if self.rule != "fedavg" else None
            guard = "; ".join(text for text in (note, weights.guards[k]) if text) or None
            gap, raw, weight = signals.gaps[k], weights.raw[k], weights.weight[k]
            rows.append(train_row(reply, float(gap), float(raw), float(weight), guard))
        self.train_log[server_round] = sorted(rows, key=lambda row: int(row["client"]))
        if not weights.weight.sum() > 0:
            return None, None
        mean = weighted_mean([models[r.client] for r in accepted], weights.weight.tolist())
        return encode(mean), totals(accepted, len(failed), self.keys)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Sum the counts of usable replies; None if there are none."""
        accepted, failed = sort_replies(
            replies,
            self.keys,
            self._sites,
            lambda message, client: read_reply(message, self.keys, self.shape, client, train=False),
        )
        rows = [failed_evaluation(client, reason) for client, reason in failed.items()]
        rows += [evaluate_row(reply) for reply in accepted]
        self.evaluate_log[server_round] = sorted(rows, key=lambda row: int(row["client"]))
        return totals(accepted, len(failed), self.keys) if accepted else None

    def summary(self) -> None:
        """Log the effective configuration as a tree."""
        metric = getattr(self.metric, "__name__", None) or repr(self.metric)
        groups, classes = self.shape
        for line in (
            f"\t├──> Rule: {self.rule} (beta {self.beta:g}, metric {metric})",
            f"\t├──> Counts: {groups} groups x {classes} classes",
            f"\t├──> Weight of a synthetic example: {self.synthetic_weight:g}",
            f"\t├──> Clients: fraction {self.fraction:g} (seed {self.seed}), at least "
            f"{self.min_nodes} within {self.node_timeout:g} s",
            f"\t└──> Keys: {self.keys}",
        ):
            logger.info(line)

    # state

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold; JSON keeps it exactly."""
        offsets = {str(client): value for client, value in sorted(self._offsets.items())}
        return {"rule": self.rule, "beta": self.beta, "offsets": offsets}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises
        ------
        InputError
            The state is of another rule or another beta.
        """
        for name, here in (("rule", self.rule), ("beta", self.beta)):
            if state.get(name) != here:
                raise InputError(OTHER_STRATEGY.format(name=name, saved=state.get(name), here=here))
        self._offsets = {int(client): float(v) for client, v in state["offsets"].items()}

    # steps of a round

    def _nodes(self, grid: Grid) -> list[int]:
        """Return all clients, in order of partition id where that is known."""
        if self._sites is not None:
            return sorted(self._sites, key=self._sites.__getitem__)
        return sorted(wait_for_nodes(grid, self.min_nodes, self.node_timeout))

    def _requests(
        self,
        kind: str,
        server_round: int,
        arrays: ArrayRecord,
        config: ConfigRecord,
        nodes: Sequence[int],
    ) -> list[Message]:
        """Build one request per node, each with the round in its configuration."""
        settings = ConfigRecord({**config, self.keys.round: server_round})
        content = RecordDict({self.keys.arrays: arrays, self.keys.config: settings})
        return [Message(content, node, kind) for node in nodes]

    def _model(self, arrays: ArrayRecord, others: Mapping[int, Model]) -> Model:
        """Read a client's model and compare it with the global one, or else with the first."""
        try:
            model = decode(arrays)
        except ValueError as error:
            raise RejectedReply(str(error)) from error
        like = self._global or next(iter(others.values()), model)
        reason = flaw(model, like)
        if reason is not None:
            raise RejectedReply(reason)
        return model

    def _weigh(self, replies: Sequence[ClientReply]) -> tuple[Signals, Weights]:
        """Measure signals, apply the rule and keep its state."""
        n = np.asarray([r.n_real + self._synthetic(r) for r in replies], np.float64)
        signals = Signals(np.full(len(replies), np.nan), (None,) * len(replies))
        if self.metric is not None:
            signals = gaps([reply.counts for reply in replies], self.metric)
        if self.rule == "fedavg":
            return signals, fedavg_weights(n)
        former = [self._offsets.get(reply.client, 0.0) for reply in replies]
        weights, offsets = fairfed_weights(n, signals.gaps, former, self.beta)
        self._remember(replies, offsets)
        return signals, weights

    def _synthetic(self, reply: ClientReply) -> float:
        """Return what a client's synthetic examples add to its ``n`` (0 x NaN adds nothing)."""
        return self.synthetic_weight * reply.n_synthetic if self.synthetic_weight else 0.0

    def _remember(self, replies: Sequence[ClientReply], offsets: NDArray[np.float64]) -> None:
        """Keep the corrections of the clients that took part."""
        for reply, value in zip(replies, offsets.tolist(), strict=True):
            self._offsets[reply.client] = value


def _check(
    rule: str, beta: float, metric: MetricFn | None, synthetic_weight: float, fraction: float
) -> None:
    """Refuse parameters that no run could use."""
    if rule not in RULES:
        raise InputError(f"rule '{rule}': expected one of {', '.join(RULES)}")
    if rule == "fairfed" and metric is None:
        raise InputError("rule 'fairfed' steers by a fairness metric: give one")
    for name, value in (("beta", beta), ("synthetic_weight", synthetic_weight)):
        if not (np.isfinite(value) and value >= 0):
            raise InputError(f"{name} = {value}: expected a number of at least 0")
    if not 0 < fraction <= 1:
        raise InputError(f"fraction = {fraction}: expected more than 0 and at most 1")
