"""The commands. Heavy imports happen inside them, so that `--help` answers at once."""

from __future__ import annotations

import codecs
import errno
import io
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from fairfed import __version__
from fairfed.cli.auditing import app as audit
from fairfed.cli.semantics import app as semantics
from fairfed.errors import RunError

app = typer.Typer(
    help="Federated image models that stay fair where data is missing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(audit, name="audit")
app.add_typer(semantics, name="semantics")

INTERRUPTED = 130
"""Exit code after Ctrl-C."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""Errors of a file system that Python raises without a path where a file is open already."""

SIGNS = {
    "✓": "OK", "✔": "OK", "✗": "X", "✘": "X", "–": "-", "−": "-", "×": "x", "·": ".", "…": "...",
    "→": "->", "≈": "~", "±": "+-", "≥": ">=", "≤": "<=", "ε": "epsilon", "δ": "delta",
    "\u202f": " ", "\u00a0": " ",
}  # fmt: skip
"""What is written where an encoding lacks a sign."""

Override = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", help="Replace a setting, as NAME=VALUE (train.lr=0.1).", show_default=False
    ),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Remove what a run wrote there, and start over.")
]


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
    config: Annotated[
        Path | None, typer.Argument(help="Configuration file (TOML).", show_default=False)
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Start from a packaged configuration (`fairfed presets` lists them), which "
            "CONFIG changes.",
            show_default=False,
        ),
    ] = None,
    overrides: Override = None,
    fresh: Fresh = False,
) -> None:
    """Run an experiment, or continue it where it was interrupted."""
    if config is None and preset is None:
        raise typer.BadParameter("give a configuration file, or --preset NAME (fairfed presets)")
    _run(config, overrides, fresh, preset)


@app.command()
def presets() -> None:
    """List the packaged configurations: what each is, and where it comes from."""
    from fairfed.cli.presets import print_presets

    print_presets()


def _run(
    path: Path | None, overrides: list[str] | None, fresh: bool, preset: str | None = None
) -> None:
    from fairfed.cli.running import run_here
    from fairfed.config import load_config

    run_here(load_config(path, overrides or (), preset), fresh)


@app.command()
def augment(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="Image folder with metadata.csv, 'bundled', 'fashion-mnist' or 'hf:NAME'; "
            "replaces data.source.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file (TOML).", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="Output directory.")] = Path("augmented"),
    until: Annotated[
        str | None,
        typer.Option(help="Last step: plan, generate, curate or export.", show_default=False),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Run this step alone.", show_default=False)
    ] = None,
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
    from fairfed.cli.augmenting import augment_here, resolve

    augment_here(
        resolve(data, config, overrides),
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
def report(
    run_dir: Annotated[Path, typer.Argument(help="Directory of a run.", show_default=False)],
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Follow a run under way: write again as rounds end."),
    ] = False,
    every: Annotated[int, typer.Option(min=1, help="Seconds between two looks of --watch.")] = 5,
) -> None:
    """Write report.html and report.json of a run, finished or under way, and print its table.

    Of any run: of arms, or of a system with a section of its own (peers, zsl, specialise, shared).
    """
    from evaluation.report import write_report
    from evaluation.results import system_of
    from fairfed.cli.results import print_run
    from fairfed.cli.tables import print_summary

    if watch:
        from fairfed.cli.comparing import watch_here

        path = watch_here(run_dir, every)
    else:
        path = write_report(run_dir)
    show = print_run if system_of(run_dir) else print_summary
    show(run_dir)
    typer.echo(f"Report: {path}")


@app.command()
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Directories of runs.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Write comparison.html, .json and .md there.", show_default=False),
    ] = None,
) -> None:
    """Compare the arms of any number of runs, paired by seed where there are several."""
    from fairfed.cli.comparing import compare_here

    compare_here(runs, out)


@app.command()
def doctor(
    config: Annotated[
        Path | None,
        typer.Argument(
            help="Configuration file (TOML) whose models to look for.", show_default=False
        ),
    ] = None,
) -> None:
    """Check versions, devices, bundled files, and which models of CONFIG are on disk."""
    from fairfed.cli.doctor import examine

    raise typer.Exit(0 if examine(config) else 1)


def main() -> None:
    """Entry point: a user's mistake is one message and exit code 2, Ctrl-C is 130."""
    _print_anywhere()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # No progress bars of others between ours, and no telemetry.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from evaluation.errors import InputError as AuditInputError
    from generators.ray import WorkerDiedError
    from semantic.errors import InputError

    try:
        app()
    except (InputError, AuditInputError) as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except (RunError, WorkerDiedError) as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise  # no file's: a fault of ours
        typer.echo(f"Error: {_named(error)}", err=True)
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer makes Ctrl-C this code without a word
            typer.echo("Interrupted. Start the same command again to continue.", err=True)
        raise


def _print_anywhere() -> None:
    """Signs that the terminal's encoding lacks are written in others: no command fails for one."""
    codecs.register_error("fairfed", _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="fairfed")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(SIGNS.get(sign, "?") for sign in lacking), error.end


def _named(error: OSError) -> str:
    """What the file system says, and of which path."""
    path = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    said = error.strerror or str(error)
    return f"{path}cannot be read or written ({said}); give another path, or make room for it"
