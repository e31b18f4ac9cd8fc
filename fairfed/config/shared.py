"""The sections of a shared space: several modalities, unequal label sets, classes that arrive."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fairfed.config.base import Once, Section, Strings

SharedName = Literal["zero-shot", "images", "descriptions", "captions", "all"]
ArrivalName = Literal["described", "synthesised", "real"]


class SharedConfig(Section):
    """Clients with images, captions or both train one model through CLIP's space.

    Its presence alone asks for it. A class is its semantic embedding, so that clients need no
    common label set.
    """

    variants: Annotated[tuple[SharedName, ...], Field(strict=False)] = Field(
        ("zero-shot", "images", "descriptions", "captions", "all"),
        min_length=1,
        description="What is compared (not with `[arrival]`). `zero-shot`: nobody trains. "
        "`images`: clients that have captions alone stay out. `descriptions`: likewise, but the "
        "others train with the descriptions of all classes, too. `captions`: they take part. "
        "`all`: they stay out, and the others have images of the missing classes (a reference).",
    )
    image_clients: int = Field(4, ge=0, description="Clients with images alone.")
    both_clients: int = Field(
        1, ge=0, description="Clients with images, each with its caption; they come next."
    )
    text_clients: int = Field(
        2, ge=0, description="Clients with captions alone, of the missing classes; they come last."
    )
    missing: Annotated[Strings, Once] = Field(
        (), description="Classes that no client has an image of."
    )
    classes_per_client: int = Field(
        5, ge=2, description="Size of the label set of a client with images."
    )
    images_per_class: int = Field(
        80, ge=1, description="Most images of one class at one client; its captions likewise."
    )
    captions_per_class: int = Field(
        200, ge=1, description="Most captions of one class at one client with captions alone."
    )
    telling_captions: bool = Field(
        False,
        description="Train only on captions that hold an attribute of the table or a property "
        "measured on the image. One that holds no more than the class's name and a group teaches "
        "nothing of images whose class CLIP has never seen.",
    )
    class_text: Literal["name", "attributes", "both"] = Field(
        "attributes",
        description="What is embedded for a class: its name in a prompt, its typical attributes in "
        "a prompt that does not name it, or both.",
    )
    centre: bool = Field(
        True,
        description="Subtract each modality's mean, for CLIP keeps images and texts apart. Clients "
        "release noised sums for it, once; a sum of fewer than `conditioning.minimum` examples (by "
        "noised count) is withheld, and where no sum of images is left, nothing is centred.",
    )
    epsilon: float = Field(
        4.0, gt=0, description="Privacy ε of that release, for adding or removing one example."
    )
    delta: float = Field(1e-5, gt=0, lt=1, description="The δ that goes with it.")
    anchors: int = Field(
        30,
        ge=1,
        description="Copies of each class's description, each with its own noise, for clients with "
        "captions alone to tell theirs from, and in variant `descriptions`.",
    )
    noise: float = Field(
        1.4,
        ge=0,
        description="Expected norm of the fresh noise on every text's embedding (norm 1) in "
        "training: texts scatter less than images do.",
    )
    hidden: int = Field(32, ge=1, description="Hidden units of the adapter.")

    @model_validator(mode="after")
    def _somebody(self) -> SharedConfig:
        if not self.image_clients + self.both_clients:
            raise ValueError(
                "no client has images to be measured on; set image_clients or both_clients"
            )
        if self.text_clients and not self.missing:
            raise ValueError(
                "clients with captions alone hold those of the missing classes; name these in "
                "missing, or set text_clients = 0"
            )
        return self


class ArrivalConfig(Section):
    """A class that arrives during a run, as a name and attributes only (needs `[shared]`)."""

    class_name: str = Field(
        min_length=1, description="The class; it needs a row in the attribute table."
    )
    round: int = Field(
        ge=2,
        description="The model of this round is the first that serves the class, by its "
        "description; from the next one on, clients train with it.",
    )
    variants: Annotated[tuple[ArrivalName, ...], Field(strict=False)] = Field(
        ("described", "synthesised", "real"),
        min_length=1,
        description="What is compared. `described`: the class is served, and nobody trains for it. "
        "`synthesised`: clients train on synthetic images of it. `real`: they are given real "
        "images of it (a reference).",
    )
    recall: bool = Field(
        True,
        description="Compose the class's vector and prompts from the nearest class of the semantic "
        "memory and the attributes that differ. false: from its attributes alone; better where the "
        "memory finds no class that is much like it.",
    )
    images: int = Field(
        40, ge=1, description="Synthetic images of the class, and of each class of a client."
    )
