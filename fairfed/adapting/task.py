"""A run of domain specialisation, from its configuration to a LoRA file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.files import write_whole
from fairfed.adapting.arm_server import SpecialisingServer
from fairfed.adapting.client import captions, specialiser
from fairfed.config import Arm
from fairfed.rounds.arm_server import Plan
from fairfed.rounds.progress import AUGMENT_TIMEOUT
from fairfed.rounds.run_directory import RunDirectory, costs, write_text
from fairfed.sites.simulated import SimulatedSites
from fairfed.sites.study import Study, refuse_arms
from fairfed.systems.session import begin
from generators.specialise import lora_bytes

if TYPE_CHECKING:
    from flwr.serverapp import Grid
    from rich.console import Console

    from fairfed.rounds.progress import Watcher

LORA = "lora.safetensors"
"""The outcome, in the run directory."""
ARM = Arm(name="Specialise")
"""Names checkpoint and rounds in the run directory."""
SITES = SimulatedSites


def check(study: Study) -> None:
    """Find a user's mistakes before anything is written or trained.

    Raises
    ------
    semantic.errors.InputError
        If data, models or settings are not as they should be.
    """
    refuse_arms(study.config, "specialise")
    place = study.place
    place.sight.check()
    specialiser(place)
    if study.simulation is not None:
        captions(place, study.simulation.images.table.images[:1])


def run(grid: Grid, study: Study, watcher: Watcher) -> RunDirectory:
    """Train, or continue; write the LoRA and what it gained.

    Raises
    ------
    semantic.errors.InputError
        If the run directory belongs to another run.
    fairfed.errors.RunError
        If no client answers any more.
    """
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
    _write_outcome(directory, server.losses, parameters)
    return directory


def _write_outcome(directory: RunDirectory, losses: list[float], parameters: int) -> None:
    """Write `results.json` and `results.md`; `rounds.jsonl` says what it cost."""
    rows = directory.rounds()
    cost, replies = costs(rows), sum(len(row["clients"]) for row in rows)
    content = {
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
    directory.write_json("results.json", content)
    write_text(directory.path / "results.md", "\n".join(_lines(content)) + "\n")


def _lines(content: dict[str, Any]) -> list[str]:
    """The outcome in words."""
    losses = content["losses"]
    table = [f"| {number} | {loss:.5f} |" for number, loss in enumerate(losses)]
    return [
        f"# {content['name']}: domain specialisation, seed {content['seed']}",
        "",
        f"Loss on held-out images {losses[0]:.5f} → {losses[-1]:.5f} "
        f"({losses[-1] / losses[0] - 1:+.1%}); {content['parameters']:,} parameters trained; "
        f"{content['mb']:.2f} MB per client and round; {content['seconds']:.0f} s.",
        "",
        "Images from it: set in `[generator]`",
        "",
        f"    lora = {json.dumps(content['generator_lora'], ensure_ascii=False)}",
        "",
        "| round | loss |",
        "|---:|---:|",
        *table,
    ]


def show(run_dir: Path, console: Console) -> None:
    """Print the outcome; the last line names `results.md`."""
    content = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    for line in (_lines(content)[2], _lines(content)[6].strip()):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    console.print(f"Results: {run_dir / 'results.md'}", soft_wrap=True)
