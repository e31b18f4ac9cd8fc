"""`fairfed audit`: files of predictions, runs, and counts that sites hand out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairfed.cli.default_group import DefaultGroup
from fairfed.errors import RunError

if TYPE_CHECKING:
    from fairfed.config.audit import AuditConfig

app = typer.Typer(
    cls=DefaultGroup,
    no_args_is_help=True,
    help="Audit predictions for fairness: metrics by group, gaps with intervals and tests, the "
    "worst subgroups, a gate. `fairfed audit DATA…` is `fairfed audit data DATA…`: its options "
    "are listed by `fairfed audit data --help`.\n\n"
    "Exit codes: 0 every condition held, 1 one did not, 2 it could not be audited.",
)

COLUMNS, AUDIT, OUTPUT, PRIVACY = "Columns", "Audit", "Gate and reports", "What leaves the site"

NO_SETTINGS = ("config", "files", "counts", "force")
"""Parameters of commands that are no settings of an audit."""


def _option(text: str, *names: str, panel: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False, **more)


Data = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="DATA…",
        help="CSV, parquet or Arrow files, directories of them, globs ('**' for any depth).",
        show_default=False,
    ),
]
ConfigFile = Annotated[
    Path | None,
    _option("Settings file (TOML), with these options' names; options win.", panel=COLUMNS),
]
Truth = Annotated[str | None, _option("Column of true labels.", panel=COLUMNS)]
Prediction = Annotated[str | None, _option("Column of predictions.", panel=COLUMNS)]
Score = Annotated[
    list[str] | None,
    _option(
        "Column of the positive class's score in 0 to 1, or CLASS=COLUMN for each class.",
        panel=COLUMNS,
    ),
]
Sensitive = Annotated[
    list[str] | None,
    _option("Column whose groups are compared; again for each, or with commas.", panel=COLUMNS),
]
Client = Annotated[str | None, _option("Column that names the client (site).", panel=COLUMNS)]
Weight = Annotated[str | None, _option("Column of weights.", panel=COLUMNS)]
Positive = Annotated[str | None, _option("The positive class.", panel=COLUMNS)]
Classes = Annotated[
    str | None,
    _option("All classes, with commas; another label is then an error.", panel=COLUMNS),
]
Threshold = Annotated[
    float | None, _option("Of a score without predictions; 0.5 by default.", panel=COLUMNS)
]
Cuts = Annotated[
    list[str] | None,
    _option(
        "Cut points of a numeric sensitive column, as age=25,45; again for each.", panel=COLUMNS
    ),
]
AutoCuts = Annotated[
    bool | None,
    _option("Cut other numeric columns at their quartiles.", "--auto-cuts", panel=COLUMNS),
]
Missing = Annotated[
    str | None,
    _option(
        "Rows without a sensitive value: group (their own, the default), drop or error.",
        panel=COLUMNS,
    ),
]
Invalid = Annotated[
    str | None,
    _option("Rows without truth, prediction or score: error (the default) or drop.", panel=COLUMNS),
]
MissingValues = Annotated[
    str | None,
    _option(
        "Texts that stand for a missing value, with commas, such as 'NA,unknown'; '' for none but "
        "empty cells. By default NA, N/A, NaN, NaT, null, inf, in any case.",
        panel=COLUMNS,
    ),
]
Task = Annotated[str | None, _option("classification (the default) or regression.", panel=COLUMNS)]
Bins = Annotated[
    int | None,
    _option(
        "Equal bins of scores. By default an audit here takes scores as they are, and what leaves "
        "a site has 1024.",
        panel=COLUMNS,
    ),
]
By = Annotated[
    list[str] | None,
    _option(
        "A cross of sensitive columns to compare, as sex,race; again for each. By default each "
        "column alone, and all crossed.",
        panel=AUDIT,
    ),
]
MinGroup = Annotated[
    int | None, _option("Rows of a group that is compared, at least; 20.", panel=AUDIT)
]
Replicates = Annotated[
    int | None, _option("Of the bootstrap; 1000, 0 for no intervals.", panel=AUDIT)
]
Level = Annotated[float | None, _option("Confidence level; 0.95.", panel=AUDIT)]
Seed = Annotated[int | None, _option("Of bootstrap and tests; 0.", panel=AUDIT)]
FailOn = Annotated[
    list[str] | None,
    _option(
        "A condition that fails the audit, such as 'equalized_odds_difference > 0.1'; again for "
        "each.",
        panel=OUTPUT,
    ),
]
Junit = Annotated[
    Path | None, _option("Write the conditions as JUnit XML to this file.", panel=OUTPUT)
]
Out = Annotated[
    Path | None,
    _option("Directory of the reports; 'audit' by default, RUN/audit for a run.", panel=OUTPUT),
]
Title = Annotated[str | None, _option("Of the report.", panel=OUTPUT)]
Force = Annotated[bool, typer.Option("--force", help="Replace the file of counts if it exists.")]
Redact = Annotated[
    int | None, _option("Publish nothing that tells a count from 1 to this.", panel=OUTPUT)
]


@app.command()
def data(
    data: Data = None,
    config: ConfigFile = None,
    truth: Truth = None,
    prediction: Prediction = None,
    score: Score = None,
    sensitive: Sensitive = None,
    client: Client = None,
    weight: Weight = None,
    positive: Positive = None,
    classes: Classes = None,
    threshold: Threshold = None,
    cuts: Cuts = None,
    auto_cuts: AutoCuts = None,
    missing: Missing = None,
    invalid: Invalid = None,
    missing_values: MissingValues = None,
    task: Task = None,
    bins: Bins = None,
    by: By = None,
    min_group: MinGroup = None,
    replicates: Replicates = None,
    level: Level = None,
    seed: Seed = None,
    fail_on: FailOn = None,
    junit: Junit = None,
    out: Out = None,
    title: Title = None,
    redact: Redact = None,
    arms: Annotated[
        list[str] | None,
        _option("Of a run: audit this arm alone; again for each.", "--arm", panel=AUDIT),
    ] = None,
    ask: Annotated[
        bool | None,
        _option(
            "Of a run: start its clients here and ask them for the last model's scores, too.",
            "--ask",
            panel=AUDIT,
        ),
    ] = None,
) -> None:
    """Audit files of predictions, or the last round of a run (its directory as DATA)."""
    settings = _settings(locals())
    with _could_not_audit():
        from fairfed.cli.audit_steps import audit_here

        held = audit_here(settings)
    raise typer.Exit(0 if held else 1)


@app.command()
def count(
    counts: Annotated[
        Path, typer.Option("--out", "-o", help="File of counts to write.", show_default=False)
    ],
    data: Data = None,
    config: ConfigFile = None,
    truth: Truth = None,
    prediction: Prediction = None,
    score: Score = None,
    sensitive: Sensitive = None,
    client: Client = None,
    weight: Weight = None,
    positive: Positive = None,
    classes: Classes = None,
    threshold: Threshold = None,
    cuts: Cuts = None,
    missing: Missing = None,
    invalid: Invalid = None,
    missing_values: MissingValues = None,
    task: Task = None,
    bins: Bins = None,
    site: Annotated[
        str | None,
        _option("Name of this site, where no column names clients.", panel=PRIVACY),
    ] = None,
    min_cell: Annotated[
        int | None, _option("Leave out cells with fewer rows than this.", panel=PRIVACY)
    ] = None,
    epsilon: Annotated[
        float | None,
        _option(
            "Add noise to every cell: discrete Laplace for this ε, with --delta discrete Gaussian.",
            panel=PRIVACY,
        ),
    ] = None,
    delta: Annotated[float | None, _option("δ of the noise.", panel=PRIVACY)] = None,
    levels: Annotated[
        list[str] | None,
        _option(
            "All values that a sensitive or client column may have, as sex=f,m; noise needs them, "
            "and --classes.",
            panel=PRIVACY,
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Count at a site: integers and names of classes and groups, no row, to be merged anywhere."""
    settings = _settings(locals())
    with _could_not_audit():
        from fairfed.cli.audit_steps import count_here

        count_here(settings, counts, force)


@app.command()
def merge(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="SITE…", help="Files of counts.", show_default=False),
    ],
    config: Annotated[
        Path | None, _option("Settings file (TOML); options win.", panel=AUDIT)
    ] = None,
    by: By = None,
    min_group: MinGroup = None,
    replicates: Replicates = None,
    level: Level = None,
    seed: Seed = None,
    fail_on: FailOn = None,
    junit: Junit = None,
    out: Out = None,
    title: Title = None,
    redact: Redact = None,
    counts: Annotated[
        Path | None,
        _option("Also write the merged counts to this file, to be merged further.", panel=OUTPUT),
    ] = None,
    force: Force = False,
) -> None:
    """Audit what sites counted: the same as of all their rows, bit for bit, in as many bins."""
    settings = _settings(locals())
    with _could_not_audit():
        from fairfed.cli.audit_steps import merge_here

        held = merge_here(settings, files, counts, force)
    raise typer.Exit(0 if held else 1)


def _settings(options: Mapping[str, Any]) -> AuditConfig:
    from fairfed.audit_settings import parse_options, resolve

    given = parse_options({k: v for k, v in options.items() if k not in NO_SETTINGS})
    return resolve(options["config"], given)


@contextmanager
def _could_not_audit() -> Iterator[None]:
    """Turn every failure into exit code 2: code 1 says that an audit was done and a gate failed."""
    from evaluation.errors import InputError as AuditInputError
    from semantic.errors import InputError

    try:
        yield
    except (InputError, AuditInputError):
        raise
    except RunError as error:
        raise InputError(str(error)) from error
    except Exception as error:
        import traceback

        traceback.print_exc()
        raise typer.Exit(2) from error
