"""The arms of a comparison in the loop over rounds: train, merge, evaluate the new model."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, ConfigRecordValues, Message
from flwr.serverapp import Grid

from fairfed.rounds.arm_server import ArmServer, Plan, RoundResult, Row
from fairfed.rounds.arrays import Model, decode, encode
from fairfed.rounds.exchange import Answers, Client, Exchange, Steps
from fairfed.rounds.masked import Masking, Opened, opened_sum
from fairfed.strategies.rows import failed_evaluation, failed_row, idle_row
from fairfed.strategies.steered import FairnessSteered

logger = logging.getLogger("fairfed")

EVALUATION = "evaluate"
"""Label of errors of the second exchange of a round."""


class SteeredServer(ArmServer):
    """Runs a `FairnessSteered` strategy: a round trains the clients drawn, and evaluates on all.

    The strategy asks the grid nothing once its clients are enrolled. `config` are settings for the
    clients, in the ConfigRecord of every request beside ``round``; `synthesis_timeout` seconds for
    a training in which they synthesise what the closed loop has planned. `action` is what ``train``
    and ``evaluate`` are of; empty: Flower's default. Who is `outside` is neither sent nor asked
    anything. With a `masking`, models are summed under masks.
    """

    def __init__(
        self,
        grid: Grid,
        clients: Sequence[Client],
        plan: Plan,
        strategy: FairnessSteered,
        start: Model,
        config: Mapping[str, ConfigRecordValues],
        synthesis_timeout: float | None = None,
        action: str = "",
        outside: Collection[int] = (),
        masking: Masking | None = None,
    ) -> None:
        self._grid, self._start = grid, start
        self._index = {client.node: client.index for client in clients}
        self._strategy, self._config = strategy, ConfigRecord(dict(config))
        self._synthesis_timeout, self._action = synthesis_timeout, action
        self._masking = masking
        inside = [client for client in clients if client.index not in outside]
        strategy.enroll(inside, seed=plan.seed, fraction=plan.fraction)

    def start(self) -> Model:
        """The model before the first round."""
        return self._start

    def round(self, number: int, model: Model) -> Steps[RoundResult]:
        """Train and merge, then evaluate the new model."""
        strategy, sent = self._strategy, encode(model)
        requests = strategy.configure_train(number, sent, self._config, self._grid)
        trained = yield from self._ask(number, self._training(requests))
        if self._masking is None:
            merged, _ = strategy.aggregate_train(number, trained.replies.values())
        else:
            merged = yield from self._summed(self._masking, number, model, trained)
        now = sent if merged is None else merged
        requests = strategy.configure_evaluate(number, now, self._config, self._grid)
        tested = yield from self._ask(number, self._exchange(requests, EVALUATION))
        strategy.aggregate_evaluate(number, tested.replies.values())
        return RoundResult(
            model=None if merged is None else decode(merged),
            rows=self._rows(number, trained, tested),
            entries=self._entries(number),
        )

    def _summed(
        self, how: Masking, number: int, model: Model, trained: Answers
    ) -> Steps[ArrayRecord | None]:
        """Weigh by what the clients say, and merge by a sum that shows none of their models."""
        strategy = self._strategy
        weighed = strategy.weigh_trained(number, trained.replies.values(), masked=True)
        kept = dict(trained.replies)
        for client in kept.keys() - weighed.weights.keys():
            trained.replies.pop(client)
        request = {**self._config, "round": number}
        found = yield from opened_sum(how, trained, request, model, weighed.weights)
        trained.replies.update(kept)
        if isinstance(found, str):
            logger.warning("round %d: %s", number, found)
            found = Opened({}, ())
        merged, _ = strategy.merge_trained(weighed.with_sum(found.total or None, found.clients))
        return merged

    def _ask(self, number: int, exchange: Exchange) -> Steps[Answers]:
        """Ask the clients; for a subclass to change."""
        return (yield exchange)

    def _training(self, requests: Iterable[Message]) -> Exchange:
        """The exchange of a training, which takes longer where clients synthesise."""
        exchange, loop = self._exchange(requests), self._strategy.loop
        synthesising = loop is not None and loop.awaits(list(exchange.contents))
        return replace(exchange, timeout=self._synthesis_timeout) if synthesising else exchange

    def _exchange(self, requests: Iterable[Message], label: str = "") -> Exchange:
        """What a strategy's messages ask, by client."""
        kind, contents = "", {}
        for message in requests:
            kind = ".".join(filter(None, (message.metadata.message_type, self._action)))
            contents[self._index[message.metadata.dst_node_id]] = message.content
        return Exchange(kind, contents, label)

    def _rows(self, number: int, trained: Answers, tested: Answers) -> dict[int, Row]:
        """What is known of each client; what the strategy rejected is an error of its exchange."""
        train = {row["client"]: row for row in self._strategy.train_log[number]}
        test = {row["client"]: row for row in self._strategy.evaluate_log[number]}
        for answers, rows in ((trained, train), (tested, test)):
            for client, row in rows.items():
                if row["error"]:
                    answers.note(client, row["error"])
        found = {}
        for client in sorted(self._index.values()):
            idle = failed_row(client, "") if client in trained.errors else idle_row(client)
            evaluated = test.get(client, failed_evaluation(client, None))
            found[client] = {**train.get(client, idle), **evaluated}
        return found

    def _entries(self, number: int) -> dict[str, Any]:
        """What the closed loop planned, and what inversion did."""
        logs = {"loop": self._strategy.loop_log, "inversion": self._strategy.inversion_log}
        return {name: log[number] for name, log in logs.items() if number in log}

    def state(self) -> dict[str, Any]:
        """The strategy's state."""
        return {"strategy": self._strategy.state_dict()}

    def arrays(self) -> Model:
        """The strategy's momenta."""
        return self._strategy.state_arrays()

    def restore(self, state: Mapping[str, Any], arrays: Model) -> None:
        """Take back the strategy's state."""
        self._strategy.load_state_dict(state["strategy"], arrays)
