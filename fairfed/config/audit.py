"""Settings of an audit: the same names as the options of `fairfed audit`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fairfed.config.base import Section, Strings

Label = str | int | bool
Labels = Annotated[tuple[Label, ...], Field(strict=False)]
Numbers = Annotated[tuple[float, ...], Field(strict=False)]
Crosses = Annotated[tuple[Strings, ...], Field(strict=False)]


class AuditConfig(Section):
    """Everything that an audit depends on, beside its data. Paths start at the current directory.

    What the fields mean in detail: `evaluation.audit.settings.ReadSettings` (columns),
    `evaluation.audit.options.AuditOptions` (the audit), `evaluation.audit.noise` (protection).
    """

    data: Strings = Field((), description="Files, directories and globs, or one run directory.")

    truth: str | None = Field(None, description="Column of true labels.")
    prediction: str | None = Field(None, description="Column of predictions.")
    score: str | dict[str, str] | None = Field(
        None, description="Column of the positive class's score, or one column for each class."
    )
    sensitive: Strings = Field((), description="Columns whose groups are compared.")
    client: str | None = Field(None, description="Column that names clients (sites).")
    weight: str | None = Field(None, description="Column of weights.")
    task: Literal["classification", "regression"] = Field(
        "classification", description="What was predicted."
    )
    positive: Label | None = Field(None, description="The positive class.")
    classes: Labels = Field((), description="All classes; another label is then an error.")
    threshold: float = Field(0.5, description="Of a score without predictions.")
    cuts: dict[str, Numbers] = Field(
        default_factory=dict, description="Cut points of numeric sensitive columns."
    )
    auto_cuts: bool = Field(False, description="Cut other numeric columns at their quantiles.")
    quantiles: int = Field(4, ge=2, description="Groups that `auto_cuts` makes.")
    missing: Literal["group", "drop", "error"] = Field(
        "group", description="Rows without a sensitive value."
    )
    invalid: Literal["error", "drop"] = Field(
        "error", description="Rows without truth, prediction or score."
    )
    missing_values: Strings | None = Field(
        None, description="Texts that stand for nothing; null: NA, NaN, null, inf and the like."
    )
    bins: int | None = Field(
        None,
        ge=1,
        description="Equal bins of scores; none given: 1024 where counts leave a site, and scores "
        "as they are in an audit here.",
    )

    by: Crosses = Field((), description="Crosses of sensitive columns; empty: each, and all.")
    metrics: Strings = Field((), description="Metrics; empty: all.")
    across: Literal["macro", "worst"] = Field("macro", description="From classes to one number.")
    min_group: int = Field(20, ge=1, description="Rows of a group that is compared, at least.")
    replicates: int = Field(1000, ge=0, description="Of the bootstrap; 0: no intervals.")
    level: float = Field(0.95, gt=0, lt=1, description="Confidence level of intervals.")
    seed: int = Field(0, ge=0, description="Of bootstrap and permutation tests.")
    power: float = Field(0.8, gt=0, lt=1, description="Of the smallest gap that is detected.")
    depth: int = Field(3, ge=0, description="Columns that a searched subgroup crosses at most.")
    subgroups: int = Field(10, ge=0, description="Subgroups that are reported.")
    redact: int = Field(
        0, ge=0, description="No count from 1 to this can be derived from what is reported."
    )

    fail_on: Strings = Field((), description="Conditions that fail the audit.")
    title: str = Field("Audit", min_length=1, description="Of the report.")
    out: str | None = Field(None, min_length=1, description="Directory of the reports.")
    junit: str | None = Field(None, min_length=1, description="JUnit XML file of the conditions.")
    arms: Strings = Field((), description="Arms of a run; empty: all.")
    ask: bool = Field(False, description="Ask a run's clients anew, with scores.")

    site: str | None = Field(None, min_length=1, description="Name of the site that counts.")
    levels: dict[str, Labels] = Field(
        default_factory=dict, description="Declared values of sensitive and client columns."
    )
    epsilon: float | None = Field(None, description="ε of noise on counts.")
    delta: float | None = Field(None, description="δ of noise on counts.")
    min_cell: int = Field(0, ge=0, description="Cells with fewer rows are left out of counts.")
