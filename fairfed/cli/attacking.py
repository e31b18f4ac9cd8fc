"""`fairfed attack`: what a finished run gives away of its training rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fairfed.cli.options import argument, option
from semantic.errors import InputError

app = typer.Typer(add_completion=False)


@app.command()
def attack(
    run_dir: Annotated[Path, argument("Directory of a run that is a simulation.", "RUN")],
    arm: Annotated[list[str] | None, option("An arm; without it, all that have a model.")] = None,
    shadows: Annotated[
        int, typer.Option(min=0, help="Shadow models for LiRA: each is a training. 0: none.")
    ] = 8,
    invert: Annotated[
        int,
        typer.Option(min=0, help="Images that are sought in updates of one step, by inversion."),
    ] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Of shadows and intervals.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try to tell training rows from others, overall and by group, and write what that came to.

    Attacked are the final model, the update of a single client, and the synthetic images; and an
    image is sought in the update of a single step. The run's report then has the figures.
    """
    from evaluation.files import write_json
    from evaluation.report import write_report
    from evaluation.report.attacks import FILE
    from fairfed.attacks.inversion import invert_run
    from fairfed.attacks.membership import attack_run
    from fairfed.attacks.target import attackable
    from fairfed.cli.attack_tables import print_attacks, print_inverted
    from fairfed.config import load_config

    if shadows % 2:
        raise InputError(f"--shadows {shadows}: expected an even number, for halves and the others")
    if not (run_dir / "config.toml").is_file():
        raise InputError(f"{run_dir}: no run; expected the directory that `fairfed run` wrote")
    named = arm or [
        own.name for own in load_config(run_dir / "config.toml").arms if attackable(own)
    ]
    found = {name: [one.to_json() for one in attack_run(run_dir, name, shadows, seed)]
             for name in named}  # fmt: skip
    sought = {name: [one.to_json() for one in invert_run(run_dir, name, invert, seed)]
              for name in named}  # fmt: skip
    kept = {"shadows": shadows, "seed": seed, "arms": found, "inverted": sought}
    write_json(run_dir / FILE, kept)
    report = write_report(run_dir)
    if as_json:
        typer.echo(json.dumps(kept, ensure_ascii=False))
        return
    print_attacks(found)
    print_inverted(sought)
    typer.echo(f"Report: {report}")
