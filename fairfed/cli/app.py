"""The commands. Each is imported when it is called, so that `--help` answers at once."""

from __future__ import annotations

import codecs
import errno
import io
import logging
import os
import sys
from collections.abc import Mapping
from typing import Annotated, ClassVar

import typer

from fairfed import __version__
from fairfed.cli.groups import LazyGroup
from fairfed.errors import RunError
from semantic.errors import InputError


class Commands(LazyGroup):
    """All commands, and how the list of them describes each."""

    lazy: ClassVar[Mapping[str, tuple[str, str]]] = {
        "demo": (
            "fairfed.cli.commands",
            "Run the whole loop on the bundled data and weights: four arms, one ceiling, one "
            "report.",
        ),
        "run": (
            "fairfed.cli.commands",
            "Run an experiment, or continue it where it was interrupted.",
        ),
        "presets": (
            "fairfed.cli.presets",
            "List the packaged configurations: what each is, and where it comes from.",
        ),
        "augment": (
            "fairfed.cli.commands",
            "Fill a data set's missing and short cells: plan → generate → curate → export.",
        ),
        "train-generator": (
            "fairfed.cli.training",
            "Train a small generator and its CLIP on images of your own, to augment with.",
        ),
        "report": (
            "fairfed.cli.reporting",
            "Write report.html and report.json of a run, finished or under way, and print its "
            "table.",
        ),
        "export": (
            "fairfed.cli.modelling",
            "Write the model of a run: weights by name, what they are of, a card.",
        ),
        "predict": (
            "fairfed.cli.modelling",
            "Predict data with an exported model: a table that `audit` reads.",
        ),
        "attack": (
            "fairfed.cli.attacking",
            "Attack a simulation's run: who was trained on, by its models, updates and images?",
        ),
        "compare": (
            "fairfed.cli.comparing",
            "Compare the arms of any number of runs, paired by seed where there are several.",
        ),
        "doctor": (
            "fairfed.cli.commands",
            "Check versions, devices, bundled files, and which models of CONFIG are on disk.",
        ),
        "audit": (
            "fairfed.cli.auditing",
            "Audit predictions for fairness: metrics by group, gaps with intervals and tests, the "
            "worst subgroups, a gate. `fairfed audit DATA…` is `fairfed audit data DATA…`: its "
            "options are listed by `fairfed audit data --help`.",
        ),
        "semantics": (
            "fairfed.cli.semantics",
            "What classes look like: attribute tables and prototypes, summed at sites and merged.",
        ),
        "site": (
            "fairfed.cli.site",
            "A site's own data and policy: write its site.toml, see what comes of it, join a "
            "study.",
        ),
        "coordinator": (
            "fairfed.cli.coordinator",
            "The machine in the middle of a federation of real sites.",
        ),
    }


app = typer.Typer(
    cls=Commands,
    help="Federated image models that stay fair where data is missing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

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


def main() -> None:
    """Entry point: a user's mistake is one message and exit code 2, Ctrl-C is 130."""
    _print_anywhere()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # No progress bars of others between ours, and no telemetry.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        app()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer makes Ctrl-C this code without a word
            typer.echo("Interrupted. Start the same command again to continue.", err=True)
        raise
    except (ValueError, RuntimeError, OSError) as error:
        code, said = _told(error)
        typer.echo(f"Error: {said}", err=True)
        sys.exit(code)


def _told(error: Exception) -> tuple[int, object]:
    """Exit code and message of what a user can mend; raises anything else again."""
    from evaluation.errors import InputError as AuditInputError  # imports NumPy: not for `--help`

    if isinstance(error, InputError | AuditInputError):
        return 2, error
    if isinstance(error, RunError):
        return 1, error
    if isinstance(error, OSError) and (error.filename is not None or error.errno in FULL):
        return 2, _named(error)  # of another kind, it is a fault of ours
    raise error


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
