"""Settings of an audit: the same names as the options of `fairfed audit`, which are made from them.

A class holds what the help shows together. What the fields mean in detail:
`evaluation.audit.settings.ReadSettings` (columns), `evaluation.audit.options.AuditOptions` (the
audit), `evaluation.audit.noise` (protection).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fairfed.config.base import Section, Strings

Label = str | int | bool
Labels = Annotated[tuple[Label, ...], Field(strict=False)]
Numbers = Annotated[tuple[float, ...], Field(strict=False)]
Crosses = Annotated[tuple[Strings, ...], Field(strict=False)]


class Columns(Section):
    """Columns."""

    truth: str | None = Field(None, description="Column of true labels.")
    prediction: str | None = Field(None, description="Column of predictions.")
    score: str | dict[str, str] | None = Field(
        None,
        description="Column of the positive class's score in 0 to 1, or CLASS=COLUMN for each "
        "class.",
    )
    sensitive: Strings = Field(
        (), description="Column whose groups are compared; again for each, or with commas."
    )
    client: str | None = Field(None, description="Column that names the client (site).")
    weight: str | None = Field(None, description="Column of weights.")
    positive: Label | None = Field(None, description="The positive class.")
    classes: Labels = Field(
        (), description="All classes, with commas; another label is then an error."
    )
    threshold: float = Field(0.5, description="Of a score without predictions.")
    cuts: dict[str, Numbers] = Field(
        default_factory=dict,
        description="Cut points of a numeric sensitive column, as age=25,45; again for each.",
    )
    missing: Literal["group", "drop", "error"] = Field(
        "group", description="Rows without a sensitive value: group (their own), drop or error."
    )
    invalid: Literal["error", "drop"] = Field(
        "error", description="Rows without truth, prediction or score: error or drop."
    )
    missing_values: Strings | None = Field(
        None,
        description="Texts that stand for a missing value, with commas, such as 'NA,unknown'; '' "
        "for none but empty cells. By default NA, N/A, NaN, NaT, null, inf, in any case.",
    )
    task: Literal["classification", "regression"] = Field(
        "classification", description="What was predicted: classification or regression."
    )
    bins: int | None = Field(
        None,
        ge=1,
        description="Equal bins of scores. By default an audit here takes scores as they are, and "
        "what leaves a site has 1024.",
    )


class Comparison(Section):
    """Audit."""

    by: Crosses = Field(
        (),
        description="A cross of sensitive columns to compare, as sex,race; again for each. By "
        "default each column alone, and all crossed.",
    )
    min_group: int = Field(20, ge=1, description="Rows of a group that is compared, at least.")
    replicates: int = Field(1000, ge=0, description="Of the bootstrap; 0 for no intervals.")
    level: float = Field(0.95, gt=0, lt=1, description="Confidence level of intervals.")
    seed: int = Field(0, ge=0, description="Of bootstrap and permutation tests.")


class Reports(Section):
    """Gate and reports."""

    fail_on: Strings = Field(
        (),
        description="A condition that fails the audit, such as 'equalized_odds_difference > 0.1'; "
        "again for each.",
    )
    junit: str | None = Field(
        None, min_length=1, description="Write the conditions as JUnit XML to this file."
    )
    out: str | None = Field(
        None,
        min_length=1,
        description="Directory of the reports; 'audit' by default, RUN/audit for a run.",
    )
    title: str = Field("Audit", min_length=1, description="Of the report.")
    redact: int = Field(0, ge=0, description="Publish nothing that tells a count from 1 to this.")


class DataAndRuns(Section):
    """What is audited here."""

    auto_cuts: bool = Field(False, description="Cut other numeric columns at their quartiles.")
    arms: Strings = Field((), description="Of a run: audit this arm alone; again for each.")
    ask: bool = Field(
        False,
        description="Of a run: start its clients here and ask them for the last model's scores, "
        "too.",
    )


class Protection(Section):
    """What leaves the site."""

    site: str | None = Field(
        None, min_length=1, description="Name of this site, where no column names clients."
    )
    min_cell: int = Field(0, ge=0, description="Leave out cells with fewer rows than this.")
    epsilon: float | None = Field(
        None,
        description="Add noise to every cell: discrete Laplace for this ε, with --delta discrete "
        "Gaussian.",
    )
    delta: float | None = Field(None, description="δ of the noise.")
    levels: dict[str, Labels] = Field(
        default_factory=dict,
        description="All values that a sensitive or client column may have, as sex=f,m; noise "
        "needs them, and --classes.",
    )


class AuditConfig(Protection, DataAndRuns, Reports, Comparison, Columns):
    """Everything that an audit depends on. Paths start at the current directory.

    The fields of its own are no options.
    """

    data: Strings = Field((), description="Files, directories and globs, or one run directory.")
    quantiles: int = Field(4, ge=2, description="Groups that `auto_cuts` makes.")
    metrics: Strings = Field((), description="Metrics; empty: all.")
    across: Literal["macro", "worst"] = Field("macro", description="From classes to one number.")
    power: float = Field(0.8, gt=0, lt=1, description="Of the smallest gap that is detected.")
    depth: int = Field(3, ge=0, description="Columns that a searched subgroup crosses at most.")
    subgroups: int = Field(10, ge=0, description="Subgroups that are reported.")
