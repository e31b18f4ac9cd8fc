"""`fairfed audit`: files of predictions, runs, and counts that sites hand out."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from evaluation.errors import InputError as AuditInputError
from fairfed.cli.audit_settings import resolve
from fairfed.cli.audit_steps import audit_here, count_here, merge_here
from fairfed.cli.groups import DefaultGroup
from fairfed.cli.model_options import with_options
from fairfed.cli.options import argument, option
from fairfed.config.audit import Columns, Comparison, DataAndRuns, Protection, Reports
from fairfed.errors import RunError
from semantic.errors import InputError

app = typer.Typer(
    add_completion=False,
    cls=DefaultGroup,
    no_args_is_help=True,
    help="Audit predictions for fairness: metrics by group, gaps with intervals and tests, the "
    "worst subgroups, a gate. `fairfed audit DATA…` is `fairfed audit data DATA…`: its options "
    "are listed by `fairfed audit data --help`.\n\n"
    "Exit codes: 0 every condition held, 1 one did not, 2 it could not be audited.",
)

COMMAS = ("classes", "missing_values")
"""Settings of several values that one option gives, with commas."""

Data = Annotated[
    list[str] | None,
    argument(
        "CSV, parquet or Arrow files, directories of them, globs ('**' for any depth).", "DATA…"
    ),
]
ConfigFile = Annotated[
    Path | None,
    option("Settings file (TOML), with these options' names; options win."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file of counts if it exists.")]


@app.command(cls=with_options(Columns, DataAndRuns, Comparison, Reports, one_text=COMMAS))
def data(ctx: typer.Context, data: Data = None, config: ConfigFile = None) -> None:
    """Audit files of predictions, or the last round of a run (its directory as DATA)."""
    with _could_not_audit():
        held = audit_here(resolve(config, {"data": data, **ctx.obj}))
    raise typer.Exit(0 if held else 1)


@app.command(cls=with_options(Columns, Protection, one_text=COMMAS))
def count(
    ctx: typer.Context,
    counts: Annotated[Path, option("File of counts to write.", "--out", "-o")],
    data: Data = None,
    config: ConfigFile = None,
    force: Force = False,
) -> None:
    """Count at a site: integers and names of classes and groups, no row, to be merged anywhere."""
    with _could_not_audit():
        count_here(resolve(config, {"data": data, **ctx.obj}), counts, force)


@app.command(cls=with_options(Comparison, Reports))
def merge(
    ctx: typer.Context,
    files: Annotated[list[Path], argument("Files of counts.", "SITE…")],
    config: ConfigFile = None,
    counts: Annotated[
        Path | None,
        option("Also write the merged counts to this file, to be merged further."),
    ] = None,
    force: Force = False,
) -> None:
    """Audit what sites counted: the same as of all their rows, bit for bit, in as many bins."""
    with _could_not_audit():
        held = merge_here(resolve(config, ctx.obj), files, counts, force)
    raise typer.Exit(0 if held else 1)


@contextmanager
def _could_not_audit() -> Iterator[None]:
    """Turn every failure into exit code 2: code 1 says that an audit was done and a gate failed."""
    try:
        yield
    except (InputError, AuditInputError):
        raise
    except RunError as error:
        raise InputError(str(error)) from error
    except Exception as error:
        traceback.print_exc()
        raise typer.Exit(2) from error
