"""What a federation's messages carry: all that sites must know, and nothing of where data are."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any

from pydantic import Field

from fairfed.config.base import Section, Strings, section_of
from fairfed.config.labels import LabelSpace
from fairfed.config.model import Agreement, Config
from fairfed.config.table import TableConfig


class AttributeRows(Section):
    """A class × attribute table as text: common knowledge of a federation."""

    classes: Strings = Field(description="Class names, as in the label space.")
    prompts: Strings = Field(description="What each is called in a prompt.")
    attributes: Strings = Field(description="Attribute phrases.")
    values: Annotated[tuple[Annotated[tuple[float, ...], Field(strict=False)], ...],
                      Field(strict=False)] = Field(
        description="How typical each attribute is of each class, from 0 to 1."
    )  # fmt: skip


class PrototypeRows(Section):
    """Prototypes of classes: directions in CLIP's image space, from noised sums of all sites."""

    classes: Strings = Field(description="Class names, as in the label space.")
    vectors: Annotated[tuple[Annotated[tuple[float, ...], Field(strict=False)], ...],
                       Field(strict=False)] = Field(description="A unit vector each.")  # fmt: skip


class FederationConfig(Agreement):
    """All that a message may carry: no path, no address, no source.

    A site compares the fingerprints with those of its own models, and maps its own labels to
    `labels`.
    """

    labels: LabelSpace = Field(description="Classes, sensitive columns and their groups.")
    table: TableConfig = Field(
        default_factory=TableConfig, description="Columns of a table, with what was fitted of them."
    )
    attributes: AttributeRows | None = Field(
        None, description="The class × attribute table; None: the classes' own names."
    )
    prototypes: PrototypeRows | None = Field(
        None, description="What sites released of their images, merged; None before they have."
    )
    fingerprints: dict[str, str] = Field(
        default_factory=dict, description="SHA-256 of weights that all must share, by what they do."
    )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what messages carry, but for what is fitted: the same in all of a run."""
        bare = self.model_copy(update={"table": self.table.unfitted, "prototypes": None})
        return sha256(bare.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """The text that messages carry; `model_validate_json` of it gives an equal study."""
        return self.model_dump_json(exclude_none=True)


def agreed(
    config: Config,
    labels: LabelSpace,
    attributes: AttributeRows | None,
    fingerprints: dict[str, str],
) -> FederationConfig:
    """What of a run's configuration its sites are told."""
    common: dict[str, Any] = {name: _shared(config, name) for name in Agreement.model_fields}
    return FederationConfig(
        **common,
        labels=labels,
        table=config.table or config.data.table,
        attributes=attributes,
        fingerprints=fingerprints,
    )


def _shared(config: Config, name: str) -> object:
    """A field of the configuration, less what of a section is of one machine alone."""
    value = getattr(config, name)
    agreed_on = section_of(Agreement.model_fields[name].annotation)
    if agreed_on is None or type(value) is agreed_on or value is None:
        return value
    return agreed_on(**{field: getattr(value, field) for field in agreed_on.model_fields})
