"""A run of domain specialisation, from its configuration to a LoRA file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.files import write_whole
from fairfed.config import Arm, Config
from fairfed.rounds.run_directory import RunDirectory, costs, write_text
from fairfed.tasks import refuse_arms
from semantic.errors import InputError

if TYPE_CHECKING:
    from flwr.serverapp import Grid
    from rich.console import Console

    from fairfed.rounds.progress import Watcher

NO_IMAGES = "data.source: {source!r} is a table, and [specialise] is of images; choose another"
LORA = "lora.safetensors"
"""The outcome, in the run directory."""
ARM = Arm(name="Specialise")
"""Names checkpoint and rounds in the run directory."""


def check(config: Config) -> None:
    """Find a user's mistakes before anything is written or trained.

    Raises
    ------
    InputError
        If data, models or settings are not as they should be.
    """
    from fairfed import site
    from fairfed.adapting.client import captions, specialiser

    refuse_arms(config, "specialise")
    if config.data.tabular:
        raise InputError(NO_IMAGES.format(source=config.data.source))
    toml = config.to_toml()
    site.sight(toml).check()
    specialiser(toml)
    captions(toml, site.images(toml, False).table.images[:1])


def count_clients(config: Config) -> int:
    """Number of clients: those of the images' division."""
    from fairfed import site

    return len(site.federation(config.to_toml(), False).train)


def run(grid: Grid, config: Config, watcher: Watcher) -> RunDirectory:
    """Train, or continue; write the LoRA and what it gained.

    Raises
    ------
    InputError
        If the run directory belongs to another run.
    fairfed.errors.RunError
        If no client answers any more.
    """
    from fairfed.adapting.arm_server import SpecialisingServer
    from fairfed.adapting.client import specialiser
    from fairfed.fingerprint import know_again
    from fairfed.rounds.arm_server import Plan
    from fairfed.rounds.clients import handshake
    from fairfed.rounds.loop import run_rounds
    from fairfed.rounds.progress import AUGMENT_TIMEOUT, TIMEOUT
    from generators.specialise import lora_bytes

    directory, toml = RunDirectory(config), config.to_toml()
    know_again(directory)
    maker = specialiser(toml)
    done = directory.finished(ARM)
    log = directory.logger(ARM, watcher.trained_round)
    directory.truncate_log_to_checkpoint({ARM.name: done})
    watcher.training(ARM, done + 1, config.rounds)
    clients = handshake(grid, count_clients(config), TIMEOUT)
    plan = Plan(config.rounds, config.seed, AUGMENT_TIMEOUT, config.fraction)
    start = {name: value.cpu().numpy() for name, value in maker.start.items()}
    request = {"toml": toml, "weights": maker.identity}
    server = SpecialisingServer(clients, plan, start, request)
    trained = run_rounds(grid, clients, server, plan, log, directory.checkpoint(ARM))
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
