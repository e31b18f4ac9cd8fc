"""Rounds of domain specialisation: clients train a LoRA, the server averages, all judge the mean.

Plain FedAvg over numbers of images, and a loss instead of counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairfed.errors import RunError
from fairfed.rounds.arm_server import Plan, Row
from fairfed.rounds.arrays import Model, encode
from fairfed.rounds.exchange import Client, Exchange, Steps
from fairfed.rounds.replies import accepted_numbers
from fairfed.systems.session import AveragingServer

JUDGED = ("n-real", "loss")
"""What a client says of its held-out images."""
NOBODY = "no client could judge the LoRA; the first error is: {error}"


class SpecialisingServer(AveragingServer):
    """Averages the clients' LoRA weights, and has every client judge the mean.

    `losses` on held-out images, mean of all, are those before the first round and after each one.
    """

    action = "specialise"
    reported = ("n-real", "loss", "seconds")

    def __init__(
        self,
        clients: Sequence[Client],
        plan: Plan,
        start: Model,
        request: Mapping[str, str | float],
    ) -> None:
        super().__init__(clients, plan, start, request)
        self.losses: list[float] = []

    def before(self, model: Model) -> Steps[None]:
        """Judge what nobody has trained yet."""
        yield from self.judge(0, model, {})

    def shares(self, numbers: Sequence[Mapping[str, float]]) -> list[float]:
        """Clients count by their images."""
        total = sum(said["n-real"] for said in numbers)
        return [said["n-real"] / total for said in numbers] if total else []

    def judge(self, number: int, model: Model, rows: dict[int, Row]) -> Steps[dict[str, Any]]:
        """Ask for a LoRA's mean loss on all clients' held-out images; somebody has to answer."""
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
        return {"loss": self.losses[-1]}

    def state(self) -> dict[str, Any]:
        """The losses so far."""
        return {"losses": self.losses}

    def restore(self, state: Mapping[str, Any], arrays: Model) -> None:
        """Take back the losses so far."""
        self.losses = list(state["losses"])
