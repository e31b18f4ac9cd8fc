"""Rounds of federated zero-shot learning: clients train, generators are averaged, one is selected.

The mean counts every client the same, and what is measured is the server's classifier on validation
classes. Selected is the round with the largest harmonic mean H on validation rows, the earliest of
equals; the test is never looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fairfed.rounds.arm_server import Plan, Row
from fairfed.rounds.arrays import Model
from fairfed.rounds.exchange import Client, Steps
from fairfed.systems.session import AveragingServer
from fairfed.systems.zsl.judge import ZslScores


class ZslServer(AveragingServer):
    """Averages the clients' generators, and remembers the best.

    `validate` gives the scores of a round's generator on validation classes; None without any.
    `best_round`, `best_arrays` and `best` are the selected round, its generator and its scores;
    without validation classes the last round, and no scores.
    """

    action = "zsl"
    reported = ("n-real", "loss-discriminator", "loss-generator", "seconds")

    def __init__(
        self,
        clients: Sequence[Client],
        plan: Plan,
        start: Model,
        request: Mapping[str, str | float],
        validate: Callable[[Model, int], ZslScores | None],
    ) -> None:
        super().__init__(clients, plan, start, request)
        self._validate = validate
        self.best_round, self.best_arrays = 0, start
        self.best: dict[str, float] | None = None

    def shares(self, numbers: Sequence[Mapping[str, float]]) -> list[float]:
        """Every client counts the same."""
        return [1 / len(numbers)] * len(numbers) if numbers else []

    def judge(self, number: int, model: Model, rows: dict[int, Row]) -> Steps[dict[str, Any]]:
        """Judge the round, and remember it if it is the best so far; nobody is asked."""
        yield from ()
        scores = self._validate(model, number)
        row = None if scores is None else scores.row()
        if row is None or self.best is None or row["H"] > self.best["H"]:
            self.best_round, self.best_arrays, self.best = number, model, row
        return {"validation": row}

    def state(self) -> dict[str, Any]:
        """The selected round and its scores."""
        return {"best_round": self.best_round, "best": self.best}

    def arrays(self) -> Model:
        """The selected generator."""
        return self.best_arrays

    def restore(self, state: Mapping[str, Any], arrays: Model) -> None:
        """Take back what was selected."""
        self.best_round, self.best, self.best_arrays = state["best_round"], state["best"], arrays
