"""What a run compares: by what the generator is conditioned, or whether there is a GAN at all."""

from __future__ import annotations

from dataclasses import dataclass

from fairfed.config import Arm
from fairfed.config.zsl import VariantName, ZslSettings


@dataclass(frozen=True)
class Variant:
    """One way to the features of unseen classes.

    Attributes
    ----------
    key
        Name in the configuration.
    title
        Name in tables.
    text
        Whether CLIP's embedding of the class's prompt conditions the generator beside attributes.
    noise
        Whether fresh noise goes on that embedding for every sample (semantic knowledge
        augmentation).
    federated
        Whether a generator of features is trained; else images are generated and embedded.
    """

    key: VariantName
    title: str
    text: bool = False
    noise: bool = False
    federated: bool = True

    @property
    def arm(self) -> Arm:
        """What names the variant's checkpoint and rounds in a run directory."""
        return Arm(name=self.title)


VARIANTS: dict[str, Variant] = {
    variant.key: variant
    for variant in (
        Variant("ska", "FedZSL + SKA", text=True, noise=True),
        Variant("text", "CLIP text, no noise", text=True),
        Variant("attributes", "Attributes only"),
        Variant("images", "Generated images", federated=False),
    )
}


def variants_of(zsl: ZslSettings) -> list[Variant]:
    """The variants of a run, each once, in the order of the configuration."""
    return [VARIANTS[name] for name in dict.fromkeys(zsl.variants)]


def variant_of(slug: str) -> Variant:
    """The variant that a message is about."""
    return next(variant for variant in VARIANTS.values() if variant.arm.slug == slug)
