"""From the configuration to the generator, and what is said where no image was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.diffusion import DiffusionSettings

if TYPE_CHECKING:
    from fairfed.config import GeneratorConfig

NONE_ACCEPTED = (
    "{who}: none of the synthetic images was accepted; CLIP reads other classes or groups in them, "
    "and more tries would not change that. Look at some ('fairfed augment DATA --preview'); give a "
    "generator.model that knows the classes, describe them better (semantic.attributes), make the "
    "images by inversion, which asks no words, or ask for less (curation.margin)"
)


def diffusion_settings(
    generator: GeneratorConfig, image_size: int, allow_unknown: bool
) -> DiffusionSettings:
    """Settings of the generator of a run or of an augmentation."""
    return DiffusionSettings(
        **generator.model_dump(), image_size=image_size, allow_unknown=allow_unknown
    )
