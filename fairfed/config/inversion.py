"""The section of zero-shot data augmentation by batch-norm inversion.

`fairfed.systems.inversion` acts by it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fairfed.config.base import Section


class InversionConfig(Section):
    """Images out of the federated model itself, for arms with `inversion`.

    The paper's values could not be confirmed; these are ours (`docs/systems/fed-zda.md`).
    """

    start: int = Field(
        3,
        ge=2,
        description="First round with inverted images: an untrained model has nothing to invert.",
    )
    every: int = Field(
        2,
        ge=1,
        description="Rounds from inversion to inversion. Clients keep their images in between.",
    )
    per_class: int = Field(
        20,
        ge=1,
        description="Images of a class in one inversion: of each that a client lacks, or, at the "
        "server, of each that the source knows.",
    )
    source: Literal["clients", "aggregate"] = Field(
        "clients",
        description="What the server inverts: every `clients`' model, for the classes that its "
        "counts show, or the `aggregate`, for all classes that a client has.",
    )
    pool: int = Field(
        200, ge=1, description="Images of a class that the server keeps; the oldest go first."
    )
    tune_epochs: int = Field(
        2, ge=1, description="The server's passes over its pool, after every round."
    )
    tune_lr: float = Field(0.003, gt=0, description="Learning rate there.")
    share: bool = Field(
        True,
        description="Let clients that lack the same class make the same images of it, so that "
        "those on one machine make them once.",
    )
    steps: int = Field(40, ge=1, description="Steps of Adam on the pixels.")
    lr: float = Field(0.2, gt=0, description="Its learning rate, for pixels from −1 to 1.")
    statistics: float = Field(
        0.1, ge=0, description="Weight of the distance to the stored BatchNorm statistics."
    )
    smoothness: float = Field(5.0, ge=0, description="Weight of the total variation.")
    company: int = Field(
        6,
        ge=1,
        description="Images of each class that are inverted together beforehand; they say what "
        "statistics the others find.",
    )
