"""The section of the configuration that describes the columns of a table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fairfed.config.base import Pair, Section, Strings

Grouping = Annotated[tuple[float, ...], Field(strict=False)] | Strings
"""A TOML array of cut points or of values."""


class TableConfig(Section):
    """The columns of a table, and how they become numbers (for a source that is a table).

    `groups` is for images, too.
    """

    positive: str | None = Field(
        None,
        description="The favourable value of the label; all others together are the other class. "
        "Without it every value is a class.",
    )
    groups: dict[str, Grouping] = Field(
        default_factory=dict,
        description="How a sensitive column makes groups: the values that are groups of their own "
        '(the rest is `other`), e.g. `{ race = ["Caucasian"] }`, or cut points, e.g. '
        "`{ age = [25, 45] }`. A column that is not here: every value is a group, and more than "
        "ten different numbers are refused.",
    )
    numeric: Strings = Field((), description="Input columns that are numbers.")
    categorical: Strings = Field(
        (),
        description="Input columns with one input for each of their values; a sensitive column "
        "enters as its groups. `numeric` and this empty: all columns but label, client and split; "
        "a column is numeric where each of its values is a number.",
    )
    drop: Strings = Field(
        (), description="Columns that are no input. A sensitive column still makes the groups."
    )
    missing: Strings = Field(
        ("", "?", "NA", "N/A", "<NA>", "NaN", "nan", "None", "null"),
        description="Texts that stand for no value.",
    )
    scale: Literal["standard", "minmax", "none"] = Field(
        "standard",
        description="Numbers to mean 0 and standard deviation 1, to 0…1 over their range, or as "
        "they are.",
    )
    ranges: dict[str, Pair] = Field(
        default_factory=dict,
        description="Lowest and highest value of numeric columns, for `minmax`; beyond them the "
        "scaled value stays 0 or 1. Where it is not known: powers of two around what clients hold.",
    )
    moments: dict[str, Pair] = Field(
        default_factory=dict,
        description="Mean and standard deviation of numeric columns, for `standard`. Where they "
        "are not known: from counts and sums over the clients.",
    )
    categories: dict[str, Strings] = Field(
        default_factory=dict,
        description="Values of categorical columns; any other value is 0 in every input. Where "
        "they are not known: what any client holds at least `min_count` times.",
    )
    min_count: int = Field(
        10,
        ge=2,
        description="Rows below which a client says nothing of a column or of a value.",
    )
    test: float = Field(
        0.2, gt=0, lt=1, description="Share of test rows, where the data has no split of its own."
    )
    validation: float = Field(
        0.2, ge=0, lt=1, description="Share of rows kept for choosing settings; 0: none."
    )
    split_seed: int | None = Field(
        None, ge=0, lt=2**31, description="Seed of that split; without it, the run's."
    )
    measure: Literal["test", "validation"] = Field(
        "test",
        description="Rows that models are measured on: choose settings on `validation`, report on "
        "`test`.",
    )

    @property
    def unfitted(self) -> TableConfig:
        """The columns without what is fitted to rows when a run begins."""
        return self.model_copy(update={"moments": {}, "ranges": {}, "categories": {}})

    @model_validator(mode="after")
    def _consistent(self) -> TableConfig:
        both = set(self.numeric) & set(self.categorical)
        if both:
            raise ValueError(f"column {min(both)!r} is both numeric and categorical; choose one")
        if self.test + self.validation >= 1:
            raise ValueError("test + validation leave nothing to train on; lower them")
        if self.measure == "validation" and not self.validation:
            raise ValueError("measure is 'validation' but validation is 0; raise it")
        for name, (low, high) in self.ranges.items():
            if not low < high:
                raise ValueError(f"ranges.{name}: {low} is not below {high}")
        return self
