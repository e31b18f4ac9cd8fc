"""What a run compares: by what the generator is conditioned, or whether there is a GAN at all."""

from __future__ import annotations

from dataclasses import dataclass

from fairfed.config.zsl import ZslSettings
from fairfed.systems import session
from fairfed.systems.session import by_key, of_slug


@dataclass(frozen=True)
class Variant(session.Variant):
    """One way to the features of unseen classes."""

    text: bool = False  # CLIP's embedding of the class's prompt is a condition beside attributes
    noise: bool = False  # fresh noise goes on it for every sample (semantic knowledge augmentation)
    federated: bool = True  # a generator of features is trained; else images are made and embedded


VARIANTS = by_key(
    Variant("ska", "FedZSL + SKA", text=True, noise=True),
    Variant("text", "CLIP text, no noise", text=True),
    Variant("attributes", "Attributes only"),
    Variant("images", "Generated images", federated=False),
)


def variants_of(zsl: ZslSettings) -> list[Variant]:
    """The variants of a run, each once, in the order of the configuration."""
    return [VARIANTS[name] for name in dict.fromkeys(zsl.variants)]


def variant_of(slug: str) -> Variant:
    """The variant that a message is about."""
    return of_slug(slug, VARIANTS.values())
