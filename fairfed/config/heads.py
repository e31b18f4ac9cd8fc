"""The section of closed-form heads on frozen features."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fairfed.config.base import Once, Section

HeadName = Literal[
    "ncm", "ridge", "ridge-class", "ridge-group", "lda", "lda-class", "lda-group", "cof"
]
Strength = Annotated[float, Field(gt=0)]


class HeadsConfig(Section):
    """Heads on frozen CLIP embeddings, solved from sums that sites send in one round.

    Its presence alone asks for it; set `rounds = 1`. Sums add up to the same numbers however rows
    are divided, so that label skew changes nothing.
    """

    heads: Annotated[tuple[HeadName, ...], Once, Field(strict=False)] = Field(
        ("ncm", "ridge", "lda", "cof"),
        min_length=1,
        description="What is compared. `ncm`: nearest class mean (FedNCM). `ridge`: ridge "
        "regression (Fed3R). `lda`: Gaussians with one covariance. Behind either of the two, "
        "`-class` has every class weigh the same, `-group` every group within a class as well. "
        "`cof`: FedCOF, ridge with covariances that are estimated from the sites' class means.",
    )
    features: int = Field(
        0,
        ge=0,
        description="Random ReLU features of an embedding, drawn from the seed, on which heads are "
        "solved; 0: on the embedding itself.",
    )
    strengths: Annotated[tuple[Strength, ...], Once, Field(strict=False)] = Field(
        (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        min_length=1,
        description="Strengths of regularisation to choose from, relative to the features' mean "
        "variance.",
    )
    validation: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of the training images on which a strength is chosen. Which these are, "
        "an image's own pixels and the seed say. The chosen head is solved again from all.",
    )
    prior: Literal["text", "none"] = Field(
        "text",
        description="A class that no site has an image of: its mean is its text embedding, moved "
        "as images lie from texts in the other classes, and the largest of `strengths` holds; or "
        "it is never predicted.",
    )

    prior_rows: int = Field(
        0,
        ge=0,
        description="With `text`: as how many images each of the other classes' texts counts.",
    )

    @model_validator(mode="after")
    def _chosen_on_something(self) -> HeadsConfig:
        if not self.validation and len(self.strengths) > 1:
            raise ValueError(
                "validation = 0 leaves no image to choose one of several strengths on; name one, "
                "or raise validation"
            )
        return self
