"""Rounds of federated zero-shot learning: clients train, generators are averaged, one is selected.

The mean counts every client the same, and what is measured is the server's classifier on validation
classes. Selected is the round with the largest harmonic mean H on validation rows, the earliest of
equals; the test is never looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fairfed.rounds.arm_server import ArmServer, Plan, RoundResult
from fairfed.rounds.arrays import Model, encode
from fairfed.rounds.exchange import Client, Exchange, Steps
from fairfed.rounds.replies import accepted_models, accepted_numbers, as_row
from fairfed.strategies.aggregate import weighted_mean
from fairfed.systems.zsl.classify import ZslScores

REPORTED = ("n-real", "loss-discriminator", "loss-generator", "seconds")
"""What a client says of its training beside the weights."""


class ZslServer(ArmServer):
    """Averages the clients' generators, and remembers the best.

    Parameters
    ----------
    clients, plan
        Who trains in a round.
    start
        The generator before the first round.
    request
        What every message tells a client beside the round.
    validate
        Scores of a generator of some round on validation classes; None without any.

    Attributes
    ----------
    best_round, best_arrays, best
        The selected round, its generator, and its scores on validation classes; without validation
        classes the last round, and no scores.
    """

    def __init__(
        self,
        clients: Sequence[Client],
        plan: Plan,
        start: Model,
        request: Mapping[str, str | float],
        validate: Callable[[Model, int], ZslScores | None],
    ) -> None:
        self._clients, self._plan, self._start = clients, plan, start
        self._request, self._validate = request, validate
        self.best_round, self.best_arrays = 0, start
        self.best: dict[str, float] | None = None

    def start(self) -> Model:
        """The generator before the first round."""
        return self._start

    def round(self, number: int, model: Model) -> Steps[RoundResult]:
        """Train, average, and judge the mean."""
        drawn = self._plan.draw((client.index for client in self._clients), number)
        config = {**self._request, "round": number}
        answers = yield Exchange.alike("train.zsl", drawn, config, encode(model))
        numbers = accepted_numbers(answers, REPORTED)
        models = list(accepted_models(answers, model).values())
        mean = weighted_mean(models, [1 / len(models)] * len(models)) if models else None
        scores = self._select(number, model if mean is None else mean)
        return RoundResult(
            model=mean,
            rows={client: as_row(said) for client, said in numbers.items()},
            entries={"validation": None if scores is None else scores.row()},
        )

    def _select(self, number: int, model: Model) -> ZslScores | None:
        """Judge the round, and remember it if it is the best so far."""
        scores = self._validate(model, number)
        if scores is None or self.best is None or scores.harmonic > self.best["H"]:
            self.best_round, self.best_arrays = number, model
            self.best = None if scores is None else scores.row()
        return scores

    def state(self) -> dict[str, Any]:
        """The selected round and its scores."""
        return {"best_round": self.best_round, "best": self.best}

    def arrays(self) -> Model:
        """The selected generator."""
        return self.best_arrays

    def restore(self, state: Mapping[str, Any], arrays: Model) -> None:
        """Take back what was selected."""
        self.best_round, self.best, self.best_arrays = state["best_round"], state["best"], arrays
