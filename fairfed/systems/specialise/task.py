"""A run of domain specialisation, from its configuration to a LoRA file and what it gained.

`check` and `run` are those of a `fairfed.system.System`, which says what they raise. Clients train
a LoRA, the server averages, all judge the mean: plain FedAvg over numbers of images, and a loss
instead of counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flwr.serverapp import Grid

from evaluation.files import write_whole
from evaluation.results import (
    ClientValues,
    Column,
    Curve,
    Results,
    Table,
    clients_called,
    write_results,
)
from fairfed.config import Arm
from fairfed.errors import RunError
from fairfed.rounds.arm_server import Plan, Row
from fairfed.rounds.arrays import Model, encode
from fairfed.rounds.exchange import Exchange, Steps
from fairfed.rounds.progress import AUGMENT_TIMEOUT, Watcher
from fairfed.rounds.replies import accepted_numbers
from fairfed.rounds.run_directory import RunDirectory, costs
from fairfed.sites.simulated import SimulatedSites
from fairfed.sites.study import Study, refuse_arms
from fairfed.systems.session import AveragingServer, begin
from fairfed.systems.specialise.client import captions, specialiser
from generators.specialise import lora_bytes

ARM = Arm(name="Specialise")
"""Names checkpoint and rounds in the run directory."""
SITES = SimulatedSites
JUDGED = ("n-real", "loss")
"""What a client says of its held-out images."""
NOBODY = "no client could judge the LoRA; the first error is: {error}"
LORA = "lora.safetensors"
"""What a run makes, in the run directory."""
COLUMNS = (Column("round", "text"), Column("loss", "loss", "lower"))
LEGEND = "Mean loss of the merged LoRA on the held-out images of all clients; round 0: before it."
OF_CLIENTS = "loss of the last LoRA on the client's held-out images"
PRIVACY = (
    "Every client sent updates of a LoRA, how many images it trained on and judged, its mean "
    "losses, and the seconds that took. No image, caption or file name is among them.",
    "No noise was added: model updates can tell something about single images. Nothing here is a "
    "guarantee against that.",
)


def check(study: Study) -> None:
    """Find a user's mistakes before anything is written or trained."""
    refuse_arms(study.config, "specialise")
    place = study.place
    place.sight.check()
    specialiser(place)
    if study.simulation is not None:
        captions(place, study.simulation.images.table.images[:1])


def run(grid: Grid, study: Study, watcher: Watcher) -> RunDirectory:
    """Train, or continue; write the LoRA and what it gained."""
    config, place = study.config, study.place
    session = begin(grid, study, watcher, [ARM])
    directory, maker = session.run, specialiser(place)
    watcher.training(ARM, directory.finished(ARM) + 1, config.rounds)
    plan = Plan(config.rounds, config.seed, AUGMENT_TIMEOUT, config.fraction)
    start = {name: value.cpu().numpy() for name, value in maker.start.items()}
    request = {**study.request(), "weights": maker.identity}
    server = SpecialisingServer(session.clients, plan, start, request)
    trained = session.train(ARM, server, plan)
    write_whole(directory.path / LORA, lora_bytes(trained))
    parameters = sum(int(value.size) for value in trained.values())
    save_results(directory, list(server.losses), parameters)
    return directory


class SpecialisingServer(AveragingServer):
    """Averages the clients' LoRA weights, and has every client judge the mean.

    `losses` on held-out images, mean of all, are those before the first round and after each one.
    """

    action = "specialise"
    reported = ("n-real", "loss", "seconds")
    losses: tuple[float, ...] = ()

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
        self.losses += (total / images,)
        return {"loss": self.losses[-1]}

    def state(self) -> dict[str, Any]:
        """The losses so far."""
        return {"losses": list(self.losses)}

    def restore(self, state: Mapping[str, Any], arrays: Model) -> None:
        """Take back the losses so far."""
        self.losses = tuple(state["losses"])


def save_results(directory: RunDirectory, losses: list[float], parameters: int) -> None:
    """Write what was found; `rounds.jsonl` says what it cost."""
    rounds = directory.rounds()
    cost, replies = costs(rounds), sum(len(line["clients"]) for line in rounds)
    data: dict[str, Any] = {
        "name": directory.config.name,
        "seed": directory.config.seed,
        "losses": losses,
        "parameters": parameters,
        "mb": cost["mb"] / replies,
        "seconds": cost["seconds"],
        "lora": str(directory.path / LORA),
        # It changes what those before it had made of the model, and does not hold them.
        "generator_lora": [*directory.config.generator.lora, str(directory.path / LORA)],
    }
    names = clients_called(directory.path, rounds)
    at_the_end = {
        names.get(row["client"], str(row["client"])): row["test_loss"]
        for row in (rounds[-1]["clients"] if rounds else ())
        if row.get("test_loss") is not None
    }
    found = Results(
        name=directory.config.name,
        seed=directory.config.seed,
        system="specialise",
        title="domain specialisation",
        about=(
            f"Loss on held-out images {losses[0]:.5f} → {losses[-1]:.5f} "
            f"({losses[-1] / losses[0] - 1:+.1%}); {data['parameters']:,} parameters trained; "
            f"{data['mb']:.2f} MB per client and round; {data['seconds']:.0f} s.",
            "Images from it: in [generator], set lora = "
            f"{json.dumps(data['generator_lora'], ensure_ascii=False)}",
        ),
        tables=(
            Table(COLUMNS, tuple((str(n), loss) for n, loss in enumerate(losses)), legend=LEGEND),
        ),
        curves=(Curve("Loss on held-out images", {"LoRA": tuple(enumerate(losses))}, "loss"),),
        clients=ClientValues(OF_CLIENTS, {"LoRA": at_the_end}, "loss", "lower"),
        privacy=PRIVACY,
        data=data,
    )
    write_results(found, directory.path)
