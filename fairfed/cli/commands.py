"""The commands whose work needs torch; it is imported when they are called, not for their help."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from fairfed.cli.options import ConfigFile, Override, argument, option, pipeline_config
from fairfed.config import load_config

app = typer.Typer(add_completion=False)

Fresh = Annotated[
    bool, typer.Option("--fresh", help="Remove what a run wrote there, and start over.")
]


@app.command()
def demo(overrides: Override = None, fresh: Fresh = False) -> None:
    """Run the whole loop on the bundled data and weights: four arms, one ceiling, one report."""
    from fairfed.cli.running import run_here

    path = Path(str(files("fairfed") / "bundled" / "demo.toml"))
    run_here(load_config(path, overrides or ()), fresh)


@app.command()
def run(
    config: Annotated[Path | None, argument("Configuration file (TOML).")] = None,
    preset: Annotated[
        str | None,
        option(
            "Start from a packaged configuration (`fairfed presets` lists them), which "
            "CONFIG changes."
        ),
    ] = None,
    overrides: Override = None,
    fresh: Fresh = False,
    site: Annotated[
        list[Path] | None,
        option(
            "With [federation] in CONFIG: the site.toml of a site that takes part; once for "
            "each. Every site has a process of its own on this machine."
        ),
    ] = None,
    on: Annotated[
        str | None,
        option(
            "With [federation] in CONFIG: the SuperLink that sites have joined, as a "
            "coordinator's directory or a connection of Flower's config.toml."
        ),
    ] = None,
) -> None:
    """Run an experiment, or continue it where it was interrupted."""
    if config is None and preset is None:
        raise typer.BadParameter("give a configuration file, or --preset NAME (fairfed presets)")
    from fairfed.cli.running import run_here

    run_here(load_config(config, overrides or (), preset), fresh, site or (), on)


@app.command()
def augment(
    data: Annotated[
        str | None,
        argument(
            "Image folder with metadata.csv, 'bundled', 'fashion-mnist' or 'hf:NAME'; "
            "replaces data.source.",
            "DATA",
        ),
    ] = None,
    config: ConfigFile = None,
    out: Annotated[Path, typer.Option(help="Output directory.")] = Path("augmented"),
    until: Annotated[str | None, option("Last step: plan, generate, curate or export.")] = None,
    only: Annotated[str | None, option("Run this step alone.")] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only draw a contact sheet of a few cells.")
    ] = False,
    audit_generator: Annotated[
        bool,
        typer.Option("--audit-generator", help="Only measure which groups neutral prompts give."),
    ] = False,
    engine: Annotated[
        str, typer.Option(help="inprocess, or ray (needs the extra `ray`).")
    ] = "inprocess",
    workers: Annotated[int, typer.Option(min=1, help="Processes of engine ray.")] = 2,
    overrides: Override = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Remove what --out holds of an augmentation before.")
    ] = False,
) -> None:
    """Fill a data set's missing and short cells: plan → generate → curate → export."""
    from fairfed.cli.augmenting import augment_here

    augment_here(
        pipeline_config(data, config, overrides),
        out,
        until=until,
        only=only,
        engine=engine,
        workers=workers,
        preview=preview,
        audit=audit_generator,
        fresh=fresh,
    )


@app.command()
def doctor(
    config: Annotated[
        Path | None,
        argument("Configuration file (TOML) whose models to look for."),
    ] = None,
) -> None:
    """Check versions, devices, bundled files, and which models of CONFIG are on disk."""
    from fairfed.cli.doctor import examine

    raise typer.Exit(0 if examine(config) else 1)
