"""What a run of domain specialisation found: the loss of its LoRA on held-out images."""

from __future__ import annotations

import json
from typing import Any

from evaluation.results import (
    ClientValues,
    Column,
    Curve,
    Results,
    Table,
    clients_called,
    write_results,
)
from fairfed.rounds.run_directory import RunDirectory, costs

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
