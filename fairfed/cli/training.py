"""`fairfed train-generator`: Stable Diffusion and CLIP in miniature from one's own images."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from fairfed.cli.options import ConfigFile, Override, argument, option, pipeline_config
from semantic.errors import InputError

app = typer.Typer(add_completion=False)
BAD_ROWS = "--rows {given!r}: expected FIRST:END, two whole numbers such as 0:40000"


@app.command(name="train-generator")
def train_generator(
    data: Annotated[
        str | None,
        argument(
            "Image folder, 'hf:NAME' or 'fashion-mnist'; replaces data.source. Labels and groups "
            "are read as in an augmentation.",
            "DATA",
        ),
    ] = None,
    config: ConfigFile = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Directory of the generator and its CLIP.")
    ] = Path("my-generator"),
    preset: Annotated[str, option("Size of the networks: mini-32 or mini-64.")] = "mini-32",
    rows: Annotated[
        str | None, option("Rows of the data alone, FIRST:END, the first being 0.")
    ] = None,
    without: Annotated[
        list[str] | None, option("A class that no network may see; may be given several times.")
    ] = None,
    caption: Annotated[
        str | None, option("Column with a text of each image, which captions may be.")
    ] = None,
    effort: Annotated[
        float, option("How many times the preset's steps: below 1 for a first look.")
    ] = 1.0,
    stages: Annotated[
        list[str] | None,
        typer.Option(
            "--stage",
            help="Run this stage alone (clip, autoencoder, unet, prototype, export); may be given "
            "several times. clip and autoencoder may run at the same time.",
        ),
    ] = None,
    card: Annotated[
        int, option("Images of each class that the model card is measured on; 0: no card.")
    ] = 50,
    threads: Annotated[int, option("Threads of PyTorch; 0: as many as it chooses.")] = 0,
    overrides: Override = None,
) -> None:
    """Train a small generator and its CLIP on your own images, or go on where it was left."""
    import torch
    from rich.console import Console

    from fairfed.augmentation.generator_card import CARD, write_card
    from fairfed.augmentation.own_generator import material
    from fairfed.cli.quality_tables import print_quality
    from generators.training.making import EXPORT, STAGES, make

    chosen = pipeline_config(data, config, overrides)
    unknown = [name for name in stages or () if name not in STAGES]
    if unknown:
        raise InputError(f"--stage {unknown[0]!r} is no stage; choose one of {', '.join(STAGES)}")
    if not effort > 0:
        raise InputError(f"--effort {effort:g}: give a number above 0")
    if threads:
        torch.set_num_threads(threads)
    found = material(
        chosen, out / "work", preset,
        rows=_rows(rows), without=without or (), effort=effort, caption=caption,
    )  # fmt: skip
    with _said_in_terminal():
        make(found.work, out, found.about, stages or STAGES)
        report = write_card(found, out, card) if card and EXPORT in (stages or STAGES) else None
    if report is not None:
        print_quality(Console(), report)
        typer.echo(f"Generator: {out / CARD}")


def _rows(given: str | None) -> tuple[int, int] | None:
    if given is None:
        return None
    try:
        first, end = map(int, given.split(":"))
    except ValueError:
        raise InputError(BAD_ROWS.format(given=given)) from None
    if not 0 <= first < end:
        raise InputError(BAD_ROWS.format(given=given))
    return first, end


@contextmanager
def _said_in_terminal() -> Iterator[None]:
    """A line for every hundred steps: training takes minutes to hours."""
    handler, logger = logging.StreamHandler(sys.stdout), logging.getLogger("fairfed")
    handler.setFormatter(logging.Formatter("%(message)s"))
    level, upwards = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = upwards
