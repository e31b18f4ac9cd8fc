"""The section that makes a run federated zero-shot learning (`fairfed.systems.zsl`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fairfed.config.base import Once, Section, Strings

VariantName = Literal["ska", "text", "attributes", "images"]


class ZslSettings(Section):
    """Federated zero-shot learning, whatever the machine.

    Defaults of the networks and their training are those of Sun et al. (arXiv 2208.13465).
    """

    feature_scale: float | None = Field(
        None,
        gt=0,
        description="Factor on features, best one that brings their mean square near 1. It is for "
        "everybody to know, so take it from public data: no client sends what would tell it. "
        "Without it: 1 with `features`, else the root of the dimension, exact for CLIP.",
    )
    variants: Annotated[tuple[VariantName, ...], Field(strict=False)] = Field(
        ("ska", "text", "attributes", "images"),
        min_length=1,
        description="What is compared. `ska`: attributes and CLIP text with noise (Sun et al.). "
        "`text`: the same without noise. `attributes`: attributes alone. `images`: no federated "
        "generator; CLIP embeddings of images that `[generator]` makes (not with `features`).",
    )
    unseen: Annotated[Strings, Once] = Field(
        (),
        description="Classes that nobody trains on and the test is about. Empty: with `features` "
        "those of its `test_unseen_loc`, else `n_unseen` by the rule of composable classes.",
    )
    n_unseen: int = Field(2, ge=2, description="Unseen classes, where the rule chooses them.")
    validation: Annotated[Strings, Once] = Field(
        (),
        description="Seen classes that nobody trains on either, and on which the round is "
        "selected. Empty: with `features` those of its `val_loc`, else by the rule.",
    )
    n_validation: int = Field(
        2,
        ge=0,
        description="Validation classes, where the rule chooses them. 0: none; all seen classes "
        "are trained on, and the last round is reported.",
    )
    local_epochs: int = Field(1, ge=1, description="Passes over a client's rows in a round.")
    batch_size: int = Field(64, ge=1, description="Rows in a step.")
    lr: float = Field(1e-4, gt=0, description="Learning rate of generator and discriminator.")
    hidden: int = Field(4096, ge=1, description="Hidden units of either.")
    critic_steps: int = Field(5, ge=1, description="Discriminator steps per generator step.")
    penalty: float = Field(10.0, ge=0, description="Weight of the gradient penalty.")
    classification: float = Field(
        0.01, ge=0, description="Weight of the local classifier's loss in the generator's."
    )
    text_noise: float = Field(
        0.1, ge=0, description="Standard deviation of the noise on CLIP text (variant `ska`)."
    )
    per_class: int = Field(
        300, ge=1, description="Features of a class that the server synthesises to classify by."
    )
    classifier_epochs: int = Field(25, ge=1, description="Passes of the server's classifier.")
    classifier_lr: float = Field(1e-3, gt=0, description="Learning rate of all classifiers.")
    images_per_class: int = Field(60, ge=1, description="Images of a class (variant `images`).")
    conditioning: Literal["name", "attributes", "composition"] = Field(
        "attributes",
        description="What describes an image (variant `images`). Only with `name` are unseen and "
        "validation classes called by name.",
    )

    @model_validator(mode="after")
    def _apart(self) -> ZslSettings:
        both = sorted(set(self.unseen) & set(self.validation))
        if both:
            raise ValueError(f"unseen and validation both name {both[0]!r}; drop one")
        return self


class ZslConfig(ZslSettings):
    """Federated zero-shot learning with mid-level semantics; its presence alone asks for it.

    Defaults of the networks and their training are those of Sun et al. (arXiv 2208.13465).
    """

    features: str | None = Field(
        None,
        description="Folder with xlsa17's `res101.mat` and `att_splits.mat`. Without it: CLIP "
        "embeddings (`semantic.encoder`) of the images of `[data]`.",
    )

    @model_validator(mode="after")
    def _images_to_embed(self) -> ZslConfig:
        if self.features is not None and "images" in self.variants:
            raise ValueError(
                "variants: 'images' needs features that are CLIP embeddings, and those of "
                f"{self.features!r} are a CNN's; leave 'images' out"
            )
        return self
