"""From the configuration to the generator, and to accepted images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairfed.sites.progress import images_done
from fairfed.sites.semantics import store_directory
from generators.diffusion import DiffusionSettings, load_generator
from generators.store import ImageStore
from generators.synthesis import Synthesiser
from semantic.space import CellScorer

if TYPE_CHECKING:
    from fairfed.config import GeneratorConfig
    from generators.diffusion import DiffusionSettings
    from generators.synthesis import Curation, Synthesiser
    from semantic.conditioning import Conditioner
    from semantic.encoder import ClipEncoder
    from semantic.space import SemanticSpace


NONE_ACCEPTED = (
    "{who}: none of the synthetic images was accepted; CLIP reads other classes or groups in them, "
    "and more tries would not change that. Look at some ('fairfed augment DATA --preview'); give a "
    "generator.model that knows the classes, describe them better (semantic.attributes), make the "
    "images by inversion, which asks no words, or ask for less (augment.margin)"
)


def diffusion_settings(
    generator: GeneratorConfig, image_size: int, allow_unknown: bool
) -> DiffusionSettings:
    """Settings of the generator of a run or of an augmentation.

    Raises
    ------
    semantic.errors.InputError
        If a value of `[generator]` is not one that the generator knows.
    """
    return DiffusionSettings(
        **generator.model_dump(), image_size=image_size, allow_unknown=allow_unknown
    )


def synthesiser_of(
    settings: DiffusionSettings,
    encoder: ClipEncoder,
    space: SemanticSpace,
    curation: Curation,
    store: str | None,
    seed: int,
    conditioner: Conditioner | None,
    *,
    whole_batches: bool = True,
) -> Synthesiser:
    """The pipeline from plans to accepted images of a run.

    Parameters
    ----------
    settings, encoder, space
        Of the generator; of CLIP; classes and groups, with what they are called.
    curation, store, seed
        Checks, the store's directory as configured, and the run's seed.
    conditioner
        What is asked for; None for each cell's first prompt.
    whole_batches
        See `generators.synthesis.Synthesiser`.

    Raises
    ------
    semantic.errors.InputError
        If a model is not to be had.
    """
    generator = load_generator(settings)
    return Synthesiser(
        generator,
        CellScorer(encoder, space),
        ImageStore(store_directory(store), generator.fingerprint),
        curation,
        seed,
        images_done,
        conditioner=conditioner,
        whole_batches=whole_batches,
    )
