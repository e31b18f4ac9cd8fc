"""Rounds of domain specialisation: clients train a LoRA, the server averages, all judge the mean.

Plain FedAvg over numbers of images, and a loss instead of counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairfed.errors import RunError
from fairfed.rounds.arm_server import ArmServer, Plan, RoundResult, Row
from fairfed.rounds.arrays import Model, encode
from fairfed.rounds.exchange import Client, Exchange, Steps
from fairfed.rounds.replies import accepted_models, accepted_numbers, as_row
from fairfed.strategies.aggregate import weighted_mean

TRAINED, JUDGED = ("n-real", "loss", "seconds"), ("n-real", "loss")
"""What a client says of its training, and of its held-out images."""
NOBODY = "no client could judge the LoRA; the first error is: {error}"


class SpecialisingServer(ArmServer):
    """Averages the clients' LoRA weights, and has every client judge the mean.

    Parameters
    ----------
    clients, plan
        Who trains in a round; all judge.
    start
        The weights before the first round.
    request
        What every message tells a client beside the round.

    Attributes
    ----------
    losses
        Mean loss on held-out images before the first round and after each one.
    """

    def __init__(
        self,
        clients: Sequence[Client],
        plan: Plan,
        start: Model,
        request: Mapping[str, str | float],
    ) -> None:
        self._everyone = [client.index for client in clients]
        self._plan, self._start, self._request = plan, start, request
        self.losses: list[float] = []

    def start(self) -> Model:
        """The weights before the first round."""
        return self._start

    def before(self, model: Model) -> Steps[None]:
        """Judge what nobody has trained yet."""
        yield from self._judge(0, model, {})

    def round(self, number: int, model: Model) -> Steps[RoundResult]:
        """Train, average, and have the mean judged.

        Raises
        ------
        fairfed.errors.RunError
            If nobody can judge it.
        """
        config = {**self._request, "round": number}
        drawn = self._plan.draw(self._everyone, number)
        answers = yield Exchange.alike("train.specialise", drawn, config, encode(model))
        numbers = accepted_numbers(answers, TRAINED)
        models = accepted_models(answers, model)
        rows: dict[int, Row] = {client: as_row(said) for client, said in numbers.items()}
        total = sum(numbers[client]["n-real"] for client in models)
        mean = None
        if total:
            shares = [numbers[client]["n-real"] / total for client in models]
            mean = weighted_mean(list(models.values()), shares)
        yield from self._judge(number, model if mean is None else mean, rows)
        return RoundResult(mean, rows, {"loss": self.losses[-1]})

    def _judge(self, number: int, model: Model, rows: dict[int, Row]) -> Steps[None]:
        """Ask for the mean loss of a LoRA on the held-out images of all clients together."""
        config = {**self._request, "round": number}
        answers = yield Exchange.alike(
            "evaluate.specialise", self._everyone, config, encode(model), "evaluate"
        )
        numbers = accepted_numbers(answers, JUDGED)
        total, images = 0.0, 0.0
        for client, said in numbers.items():
            images += said["n-real"]
            total += said["loss"]
            mean = said["loss"] / said["n-real"] if said["n-real"] else None
            rows.setdefault(client, {})["test_loss"] = mean
        if not images:
            error = next(iter(answers.errors.values()), "no held-out image")
            raise RunError(NOBODY.format(error=error))
        self.losses.append(total / images)

    def state(self) -> dict[str, Any]:
        """The losses so far."""
        return {"losses": self.losses}

    def restore(self, state: Mapping[str, Any], arrays: Model) -> None:
        """Take back the losses so far."""
        self.losses = list(state["losses"])
