"""One Flower strategy around every signal, weight rule, aggregator and server optimiser.

The mathematics is in the pure functions of :mod:`fairfed.strategies.rules`,
:mod:`~fairfed.strategies.signals`, :mod:`~fairfed.strategies.robust` and
:mod:`~fairfed.strategies.optimisers`; what goes together in :mod:`~fairfed.strategies.aggregation`.

Each round has five steps: read the replies and reject what cannot be used, measure every client's
signal, turn signals into guarded weights, merge, let the server optimiser step.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from fairfed.engines.nodes import wait_for_nodes
from fairfed.rounds.arm_server import Row
from fairfed.rounds.arrays import Model, add_prefixes, decode, encode, strip_prefixes
from fairfed.rounds.clients import handshake, sample
from fairfed.rounds.exchange import Client
from fairfed.strategies.aggregate import mean_of_sum
from fairfed.strategies.aggregation import Inversion, Outcome, Weighed, combine, refuse_other
from fairfed.strategies.cohort import Probe, cohort_of
from fairfed.strategies.loop import ClosedLoop
from fairfed.strategies.optimisers import ServerOptimiser
from fairfed.strategies.part import check_range
from fairfed.strategies.replies import (
    ClientReply,
    ReplyKeys,
    read_model,
    read_reply,
    sort_replies,
    totals,
)
from fairfed.strategies.robust import Aggregator
from fairfed.strategies.rows import evaluate_rows, train_rows
from fairfed.strategies.rules import WeightRule
from fairfed.strategies.signals import MetricFn, Signal
from fairfed.strategies.weights import MAX_WEIGHT, MIN_SHARE, Bounds

logger = logging.getLogger("fairfed")

INVERSION = "inversion"
"""Name of the part's state in a checkpoint."""
NOT_CONFIGURED = "a step from the received model needs configure_train first"


@dataclass(frozen=True)
class Trained:
    """What came of a round's training, before its models are merged."""

    accepted: Sequence[ClientReply]  # usable replies
    failed: Mapping[int, str]  # why the others are of no use
    models: Mapping[int, Model]  # what was trained; nothing where it is under masks
    weighed: Weighed

    @property
    def weights(self) -> dict[int, float]:
        """Weights by client."""
        applied = self.weighed.weights.weight.tolist()
        return {reply.client: w for reply, w in zip(self.accepted, applied, strict=True)}

    def with_sum(self, total: Model | None, clients: Collection[int]) -> Trained:
        """The same with the weighted sum of the models of some clients, the others left out.

        `total` is None where the sum could not be opened: then there is no new model.
        """
        cohort, weights = self.weighed.cohort, self.weighed.weights
        kept = np.array([client in clients for client in cohort.clients], np.float64)
        applied = weights.weight * kept
        share, mean = float(applied.sum()), None
        if total is not None and share > 0:
            mean, applied = mean_of_sum(total, share, cohort.received), applied / share
        weighed = replace(
            self.weighed,
            cohort=replace(cohort, summed=mean),
            weights=replace(weights, weight=applied if mean is not None else 0 * applied),
        )
        return replace(self, weighed=weighed)


class FairnessSteered(Strategy):
    """Aggregate clients with weights steered by a fairness signal.

    Works under Flower's ``Strategy.start``, and in :func:`fairfed.rounds.loop.run_rounds` through
    :class:`fairfed.strategies.arm_server.SteeredServer`.

    Parameters
    ----------
    shape : tuple of int
        Number of groups and of classes: the counts of a reply have ``groups * classes**2`` entries.
    rule : str or WeightRule
        How weights follow from signals: a name of ``rules.RULES``, or an object.
    options : mapping, optional
        Parameters of a rule given by name.
    metric : callable, optional
        Fairness metric of counts ``[G, C, C]``, for the signals that are of one.
    signal : str or Signal, optional
        What is measured: a name of ``signals.SIGNALS``, or an object. Without it, what the rule was
        published with; for a rule that reads none, the gap of ``metric`` is logged.
    optimiser : str or ServerOptimiser
        What becomes of the aggregate: a name of ``optimisers.OPTIMISERS``, or an object.
    aggregator : str or Aggregator, optional
        A robust aggregator instead of the weighted mean: a name of ``robust.AGGREGATORS``.
    probe : callable, optional
        ``probe(model)`` gives counts ``[G, C, C]`` on examples that the server holds.
    max_weight : float
        Cap of every weight, in (0, 1]; what is cut goes to the others. Never below 1/K with K
        clients that hold examples. 1: none.
    min_share : float
        Floor: the part of its share of the real examples that every client keeps, in [0, 1]. 0:
        none. With a cap of 1 and a floor of 0 a rule is applied exactly as it was published.
    known : sequence of bool, length G, optional
        Groups whose sensitive values are known; the others are in no signal and no rule of groups.
    loop : ClosedLoop, optional
        Plans further synthesis; the clients must understand ``keys.extra_cells``.
    inversion : Inversion, optional
        Acts on every aggregate (Fed-ZDAS), or logs what the clients' inversion cost (Fed-ZDAC).
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
    loop_log : dict of int to dict
        What the closed loop planned, by round.
    inversion_log : dict of int to dict
        What inversion did, by round.

    Raises
    ------
    InputError
        An unknown name, a parameter out of range, or parts that make no sense together.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        rule: str | WeightRule = "fedavg",
        options: Mapping[str, Any] | None = None,
        metric: MetricFn | None = None,
        signal: str | Signal | None = None,
        optimiser: str | ServerOptimiser = "fedavg",
        aggregator: str | Aggregator | None = None,
        probe: Probe | None = None,
        max_weight: float = MAX_WEIGHT,
        min_share: float = MIN_SHARE,
        known: Sequence[bool] | None = None,
        loop: ClosedLoop | None = None,
        inversion: Inversion | None = None,
        fraction: float = 1.0,
        seed: int = 0,
        min_nodes: int = 1,
        node_timeout: float = 120.0,
        keys: ReplyKeys | None = None,
    ) -> None:
        check_range("fraction", fraction, 0.0, 1.0, above=True)
        self.parts = combine(
            rule,
            options or {},
            signal,
            metric,
            optimiser,
            aggregator,
            Bounds(max_weight, min_share),
            probe,
        )
        self.shape, self.probe = shape, probe
        self.known = None if known is None else np.asarray(known, bool)
        self.loop, self.inversion = loop, inversion
        self.fraction, self.seed, self.min_nodes = fraction, seed, min_nodes
        self.node_timeout = node_timeout
        self.keys = keys or ReplyKeys()
        self.train_log: dict[int, list[Row]] = {}
        self.evaluate_log: dict[int, list[Row]] = {}
        self.loop_log: dict[int, dict[str, Any]] = {}
        self.inversion_log: dict[int, dict[str, Any]] = {}
        self._sites: dict[int, int] | None = None
        self._names: dict[int, str] = {}
        self._global: Model | None = None

    def enroll(self, clients: Iterable[Client], *, seed: int, fraction: float) -> None:
        """Fix who the clients are and how a round draws them."""
        check_range("fraction", fraction, 0.0, 1.0, above=True)
        self._enroll(clients)
        self.seed, self.fraction = seed, fraction

    def _enroll(self, clients: Iterable[Client]) -> None:
        found = list(clients)
        self._sites = {client.node: client.index for client in found}
        self._names = {client.index: client.name for client in found}

    # Flower's abstract members

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the global model to the clients drawn for this round."""
        if self.fraction < 1.0 and self._sites is None:
            self._enroll(handshake(grid, self.min_nodes, self.node_timeout))
        self._global = decode(arrays)
        nodes = self._nodes(grid)
        if self._sites is not None:
            drawn = sample(self._sites.values(), self.fraction, self.seed, server_round)
            nodes = [node for node in nodes if self._sites[node] in drawn]
        settings = ConfigRecord({**config, **self._instructions()})
        return self._requests("train", server_round, arrays, settings, nodes)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the new global model to all clients."""
        return self._requests("evaluate", server_round, arrays, config, self._nodes(grid))

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Merge the models of usable replies; (None, None) if there are none."""
        return self.merge_trained(self.weigh_trained(server_round, replies))

    # the two halves of it, between which a sum under masks lies

    def weigh_trained(
        self, server_round: int, replies: Iterable[Message], *, masked: bool = False
    ) -> Trained:
        """Read the usable replies, and weigh their clients.

        `masked` replies hold no models: these are summed by the weights, and the server learns the
        sum alone.
        """
        models: dict[int, Model] = {}

        def accept(message: Message, client: int) -> ClientReply:
            reply = read_reply(message, self.keys, self.shape, client, train=True, masked=masked)
            like = self._global or next(iter(models.values()), None)
            if not masked:
                models[client] = read_model(reply.arrays, like)
            self._read_further(message, client)
            return reply

        accepted, failed = sort_replies(replies, self.keys, self._sites, accept, self._names)
        if self._global is None and self.parts.needs_received:
            raise RuntimeError(NOT_CONFIGURED)
        received = self._global or {}
        cohort = cohort_of(server_round, accepted, models, received, self.probe, self.known)
        return Trained(accepted, failed, models, self.parts.weigh(cohort))

    def merge_trained(self, trained: Trained) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Merge what was weighed, and log the round; (None, None) if there is no model."""
        accepted, failed, models = trained.accepted, trained.failed, trained.models
        server_round = trained.weighed.cohort.round
        outcome = self._conclude(server_round, accepted, self.parts.merge(trained.weighed))
        self.train_log[server_round] = train_rows(accepted, failed, outcome, self.parts.steered)
        planned = self.loop.observe(server_round, accepted) if self.loop else None
        if planned is not None:
            self.loop_log[server_round] = planned
        if self.inversion is not None:
            outcome, entry = self.inversion.after(server_round, outcome, accepted, models)
            self.inversion_log |= {server_round: entry} if entry else {}
        if outcome.model is None:
            return None, None
        return encode(outcome.model), totals(accepted, len(failed), self.keys)

    # what a subclass may add

    def _read_further(self, message: Message, client: int) -> None:
        """Read what else a usable reply to ``train`` holds; may reject it."""

    def _conclude(
        self, server_round: int, accepted: Sequence[ClientReply], outcome: Outcome
    ) -> Outcome:
        """Return what came of a round, further worked on."""
        return outcome

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Sum the counts of usable replies; None if there are none."""
        accepted, failed = sort_replies(
            replies,
            self.keys,
            self._sites,
            lambda message, client: read_reply(message, self.keys, self.shape, client, train=False),
            self._names,
        )
        self.evaluate_log[server_round] = evaluate_rows(accepted, failed)
        return totals(accepted, len(failed), self.keys) if accepted else None

    def summary(self) -> None:
        """Log the effective configuration as a tree."""
        groups, classes = self.shape
        for line in (
            *(f"\t├──> {part}" for part in self.parts.describe()),
            f"\t├──> Replanning: {self.loop or 'none'}",
            f"\t├──> Inversion: {self.inversion or 'none'}",
            f"\t├──> Counts: {groups} groups x {classes} classes",
            f"\t├──> Clients: fraction {self.fraction:g} (seed {self.seed}), at least "
            f"{self.min_nodes} within {self.node_timeout:g} s",
            f"\t└──> Keys: {self.keys}",
        ):
            logger.info(line)

    # state

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold; JSON keeps it exactly."""
        state = self.parts.state_dict()
        if self.loop is not None:
            state |= {"loop": str(self.loop), "loop_state": self.loop.state_dict()}
        if self.inversion is not None:
            state[INVERSION] = self.inversion.name
        return state

    def state_arrays(self) -> Model:
        """Return the state that is as large as a model."""
        pool = {} if self.inversion is None else self.inversion.state_arrays()
        return {**self.parts.state_arrays(), **add_prefixes({INVERSION: pool})}

    def load_state_dict(self, state: Mapping[str, Any], arrays: Model | None = None) -> None:
        """Restore what :meth:`state_dict` and :meth:`state_arrays` returned.

        Raises
        ------
        InputError
            The state is of other parts or of other parameters.
        """
        here = {
            INVERSION: None if self.inversion is None else self.inversion.name,
            "loop": None if self.loop is None else str(self.loop),
        }
        refuse_other(here, state)
        pool, others = strip_prefixes(arrays or {}, INVERSION)
        self.parts.load(state, others)
        if self.inversion is not None:
            self.inversion.load_state_arrays(pool)
        if self.loop is not None:
            self.loop.load_state_dict(state["loop_state"])

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

    def _instructions(self) -> dict[str, Any]:
        """Return what the parts want of clients in their next training."""
        wanted: dict[str, Any] = {self.keys.ask_loss: True} if self.parts.needs_loss else {}
        for key, cells in (
            (self.keys.cell_weights, self.parts.rule.cell_weights()),
            (self.keys.cell_target, self.parts.rule.cell_target()),
        ):
            if cells is not None:
                wanted[key] = [float(value) for value in cells.ravel()]
        return wanted if self.loop is None else {**wanted, **self.loop.instructions(self.keys)}
