"""The commands. Heavy imports happen inside them, so that `--help` answers at once."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from fairfed import __version__
from fairfed.errors import RunError

app = typer.Typer(
    help="Federated image models that stay fair where data is missing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Override = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", help="Replace a setting, as NAME=VALUE (train.lr=0.1).", show_default=False
    ),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Remove this run's directory and start over.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"fairfed {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


@app.command()
def demo(overrides: Override = None, fresh: Fresh = False) -> None:
    """Run the whole loop on the bundled data and weights: four arms, one ceiling, one report."""
    from importlib.resources import files

    _run(Path(str(files("fairfed") / "bundled" / "demo.toml")), overrides, fresh)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="Configuration file (TOML).", show_default=False)],
    overrides: Override = None,
    fresh: Fresh = False,
) -> None:
    """Run an experiment, or continue it where it was interrupted."""
    _run(config, overrides, fresh)


def _run(path: Path, overrides: list[str] | None, fresh: bool) -> None:
    from fairfed.cli.running import run_here
    from fairfed.config import load_config

    run_here(load_config(path, overrides or ()), fresh)


@app.command()
def report(
    run_dir: Annotated[Path, typer.Argument(help="Directory of a run.", show_default=False)],
) -> None:
    """Write report.html and report.json of a run, finished or under way, and print its table."""
    from evaluation.report import write_report
    from fairfed.cli.tables import print_summary

    path = write_report(run_dir)
    print_summary(run_dir)
    typer.echo(f"Report: {path}")


@app.command()
def doctor() -> None:
    """Check versions, devices, and the bundled files' checksums."""
    from fairfed.cli.doctor import examine

    raise typer.Exit(0 if examine() else 1)


def main() -> None:
    """Entry point: a user's mistake is one message and exit code 2, Ctrl-C is 130."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # No progress bars of others between ours, and no telemetry.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from evaluation.errors import InputError as AuditInputError
    from semantic.errors import InputError

    try:
        app()
    except (InputError, AuditInputError) as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except RunError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("Interrupted. Start the same command again to continue.", err=True)
        sys.exit(130)
