"""The configuration of one augmentation: what `fairfed augment DATA --config FILE` reads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from fairfed.config.base import Device, Section, Strings, tabled
from fairfed.config.data import DataConfig
from fairfed.config.sections import GeneratorConfig, SemanticConfig
from fairfed.config.synthesis import CellSettings, ConditioningConfig, CurationConfig


class PipelineConditioning(ConditioningConfig):
    """From a cell to what conditions the generator, and whose prototypes these are."""

    prototypes: str | None = Field(
        None,
        description="With `prototype`: file of prototypes released by others, for classes that "
        "this data lacks. Without it, prototypes are made from this data's training images.",
    )
    epsilon: float | None = Field(
        None,
        gt=0,
        description="With prototypes made here: ε of the Gaussian mechanism; they are then written "
        "to `prototypes.json`, which may be given to others. Without it they are exact and stay "
        "here.",
    )


class InversionConfig(Section):
    """Batch-norm inversion: images from a classifier instead of from Stable Diffusion."""

    classifier: str | None = Field(
        None,
        description='With `synthesis.generator = "inversion"`: file of the classifier, written by '
        "`generators.classifier.save_classifier` (a `torch.export` archive).",
    )
    outputs: Strings = Field(
        (),
        description="What its outputs stand for, in order: classes, or cells as `class × group`. "
        "Empty: the data's classes.",
    )
    low: float = Field(0.0, description="What the classifier takes for black.")
    high: float = Field(1.0, description="What the classifier takes for full brightness.")
    steps: int = Field(150, ge=1, description="Steps of Adam.")
    lr: float = Field(0.2, gt=0, description="Learning rate of Adam.")
    statistics: float = Field(
        0.1, ge=0, description="Weight of the distance to the stored BatchNorm statistics."
    )
    smoothness: float = Field(5.0, ge=0, description="Weight of the total variation.")
    company: int = Field(
        60, ge=1, description="Images that are inverted together to fix the batch's statistics."
    )
    device: Device = Field(
        "auto",
        description="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`.",
    )
    batch_size: int = Field(64, ge=1, description="Images inverted together.")


class PipelineSynthesis(CellSettings):
    """Which cells of one data set are filled, how far, and by what."""

    generator: Literal["diffusion", "inversion"] = Field(
        "diffusion",
        description="`diffusion` (`[generator]`) or `inversion` (`[inversion]`).",
    )
    cells: Literal["missing", "short", "all"] = Field(
        "short",
        description="`missing`: cells without a training image. `short`: those with fewer than "
        "`cell_target`, too. `all`: moreover `per_class` images of each class that there is, for "
        "domain matching.",
    )
    classes: Strings = Field((), description="Classes to fill that the data does not hold at all.")
    groups: Strings = Field(
        (),
        description="Groups to fill that the data does not hold at all; with several sensitive "
        "columns crossed as `a × b`.",
    )
    correct_bias: bool = Field(
        False,
        description="Audit the generator in `plan` (see `--audit-generator`), and give cells of "
        "groups that it shows too rarely a larger budget of replacements, up to four times.",
    )
    audit_images: int = Field(
        32, ge=1, description="Images of each class that an audit of the generator reads."
    )


class ExportConfig(Section):
    """The image folder that comes out."""

    real: Literal["copy", "none"] = Field(
        "copy",
        description="`copy`: the real images, byte for byte, beside the synthetic ones. `none`: "
        "synthetic ones alone.",
    )


class PipelineConfig(Section):
    """Everything an augmentation depends on. Relative paths start at the current directory."""

    seed: int = Field(
        0, ge=0, lt=2**31, description="Seed of everything random: same seed, same images."
    )
    store: str | None = Field(
        None,
        description="Directory of the store of synthetic images. Without it, `fairfed` in the "
        "user's cache directory.",
    )
    data: DataConfig = Field(
        default_factory=DataConfig,
        description="See `[data]`; `DATA` on the command line replaces `data.source`.",
    )
    semantic: SemanticConfig = tabled(SemanticConfig, "semantic")
    conditioning: PipelineConditioning = tabled(PipelineConditioning, "conditioning")
    generator: GeneratorConfig = tabled(GeneratorConfig, "generator")
    inversion: InversionConfig = tabled(InversionConfig, "inversion")
    synthesis: PipelineSynthesis = tabled(PipelineSynthesis, "synthesis")
    curation: CurationConfig = tabled(CurationConfig, "curation")
    export: ExportConfig = tabled(ExportConfig, "export")

    @model_validator(mode="after")
    def _invertible(self) -> PipelineConfig:
        if self.synthesis.generator == "inversion" and self.inversion.classifier is None:
            raise ValueError(
                "inversion.classifier: missing; name the file of the classifier to invert"
            )
        return self

    def to_toml(self) -> str:
        """The whole configuration, defaults included; reading it back gives an equal one."""
        import tomli_w

        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
