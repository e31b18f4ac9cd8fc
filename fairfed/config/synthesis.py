"""How synthetic images are planned, asked for and judged: the same for a run and an augmentation.

A run's study says so for all of its sites, `fairfed augment` for one data set.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fairfed.config.base import Once, Section, Strings

Mode = Literal["name", "attributes", "composition", "prototype"]


class CellSettings(Section):
    """Which cells are filled, and how far."""

    per_class: int = Field(
        120,
        ge=0,
        description="Synthetic images of each class that is lacking, spread over the groups.",
    )
    cell_target: int = Field(
        30,
        ge=0,
        description="A class × group cell with fewer real training images, in a class that there "
        "is, is filled up to this with synthetic ones.",
    )


class SynthesisSettings(CellSettings):
    """Synthetic images for the cells that a client lacks, whatever the machine."""

    pool: int = Field(
        60,
        ge=1,
        description="Different images of one cell that the clients' requests draw from, made "
        "however few are asked for. The smaller, the less is generated.",
    )
    domain_matching: bool = Field(
        True,
        description="Keep a client from learning `looks real → my class`: autoencode real images "
        "and synthesise the classes that it has, too. An arm can set it for itself.",
    )
    domain_matching_present: int = Field(
        120,
        ge=0,
        description="With domain matching: synthetic images of each class that a client *has*.",
    )
    autoencode: float = Field(
        0.5,
        ge=0,
        le=1,
        description="With domain matching: probability that a real training image passes through "
        "the generator's autoencoder.",
    )
    balance: bool = Field(
        True, description="Balance the batches by class and source (real or synthetic)."
    )
    replan_budget: int = Field(
        120,
        ge=1,
        description="With `replan` in an arm: images that every client synthesises more at each "
        "step, in the cells that the model serves worst.",
    )
    replan_cell: int = Field(
        30, ge=1, description="With `replan` in an arm: most images of one cell in one step."
    )
    share: bool = Field(
        True,
        description="Let clients on one machine share images of the store. Images that start from "
        "a client's own ones are never shared.",
    )


class SynthesisConfig(SynthesisSettings):
    """Synthetic images for the cells that a client lacks, and domain matching."""

    store: str | None = Field(
        None,
        description="Directory of the store of synthetic images. Without it, `fairfed` in the "
        "user's cache directory.",
    )


class ConditioningConfig(Section):
    """From a cell to what conditions the generator."""

    mode: Mode = Field(
        "name",
        description="`name`: the first prompt template. `attributes`: the same, followed by "
        "attribute phrases. `composition`: moreover each phrase as a guidance term of its own. "
        "`prototype`: the template and the class's mean CLIP image embedding. An arm can set it "
        "for itself.",
    )
    recall: bool = Field(
        False,
        description="Compose missing classes from semantic memory, whatever the mode: the nearest "
        "class that there is, and a guidance term for each attribute in which they differ.",
    )
    unseen: Annotated[Strings, Once] = Field(
        (),
        description="Classes that the generator has never seen, whatever the mode: they are "
        "composed from the attribute table, and not called by name ([measured](zero_shot.md)).",
    )
    weight: float = Field(
        1.0,
        description="With `composition` and `recall`: weight of each term relative to the "
        "prompt's.",
    )
    delta: float = Field(
        1e-5,
        gt=0,
        lt=1,
        description="Of prototypes that are released: δ of the Gaussian mechanism.",
    )
    minimum: int = Field(
        20,
        ge=1,
        description="Least (noisy) count of images behind a prototype; fewer make none.",
    )
    start_from_real: bool = Field(
        False,
        description="Start from the data's own images of a cell instead of noise (img2img, "
        "`generator.strength`), where there are any.",
    )


class ConditioningSettings(ConditioningConfig):
    """From a cell to what conditions the generator, at every client."""

    epsilon: float = Field(
        4.0,
        gt=0,
        description="With prototypes (of the mode, or of system `one-shot`): privacy ε of those "
        "that a client sends, for adding or removing one image. They are merged at the server.",
    )


class CurationConfig(Section):
    """What a synthetic image must fulfil, and how often one may be replaced."""

    margin: float = Field(
        0.0,
        description="Least margin of an image's CLIP score for its cell over all other cells, in "
        "nats; less where real images of the cell show that CLIP reads it worse (`quantile`).",
    )
    max_tries: float = Field(
        2.0,
        ge=1,
        description="Images judged at most, as a multiple of those asked for: the budget that "
        "replaces rejected ones.",
    )
    checks: Annotated[Strings, Once] = Field(
        ("corrupt", "black", "blank", "margin", "attributes", "duplicate", "memorised"),
        description="What an image is checked for; its first failure is its reason. The last four "
        "have thresholds calibrated on the data's own real images.",
    )
    trial: int = Field(
        16,
        ge=0,
        description="Images of each class that are made first, to see whether the generator knows "
        "it; one that it does not know is refused. They are the first ones of the plan. 0: none.",
    )
    quantile: float = Field(
        0.05,
        gt=0,
        le=0.5,
        description="A synthetic image may fit its cell as badly as this share of real ones do.",
    )
    closeness: float = Field(
        0.01,
        gt=0,
        le=0.5,
        description="Near duplicates and memorised images are those nearer than this share of real "
        "images are to their nearest neighbour.",
    )
    minimum: int = Field(
        20, ge=1, description="Real images behind a threshold that is taken from them, at least."
    )


class CurationSettings(CurationConfig):
    """What a client's synthetic image must fulfil, and how often one may be replaced."""

    checks: Annotated[Strings, Once] = Field(
        ("corrupt", "black", "blank", "margin", "duplicate", "memorised"),
        description="What an image is checked for; its first failure is its reason. `attributes` "
        "is another check, and off: on validation images it gained nothing, and left one place in "
        "eleven empty ([measured](benchmarks.md#conditioning-and-checks-at-the-clients)).",
    )
