"""Ours beside the GAN: images of every class by Stable Diffusion, through the same CLIP.

Nothing is federated: the server makes the images, from the attribute table alone. What the
generator knows of the unseen classes decides what this is worth: the *bundled* Stable Diffusion and
CLIP were trained on all ten classes of Fashion-MNIST, so with them it is no zero-shot learning but
what a generator that knows the classes gives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fairfed.config.base import required
from fairfed.errors import PublicInputError
from fairfed.sites.generation import NONE_ACCEPTED
from fairfed.sites.workplace import Workplace
from fairfed.systems.zsl.split import Split
from generators.synthesis import Synthesiser
from semantic.conditioning import Conditioner
from semantic.space import known_groups

OWNER = "zsl server"
"""Whose images they are in the store."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings of generated images."""

    # ``[n, d]`` and ``[n]``
    features: Tensor
    labels: Tensor
    # Images generated now, and taken from the store
    made: int
    reused: int


def synthesiser(place: Workplace, split: Split) -> Synthesiser:
    """What makes and curates the images.

    Unseen and validation classes are described without their names, unless `zsl.conditioning` is
    `name`.
    """
    mode, space = required(place.study.zsl).conditioning, place.space
    held = (*split.classes.unseen, *split.classes.validation)
    unnamed = tuple(space.classes[c] for c in held) if mode != "name" else ()
    return place.synthesiser_of(space, Conditioner(space, mode, unnamed=unnamed), False)


def embed_generated(place: Workplace, split: Split) -> Embedded:
    """Generate and embed images of all trained, validation and unseen classes.

    A class of which no image is accepted is an error.
    """
    maker, encoder, space = synthesiser(place, split), place.encoder, place.space
    groups = np.flatnonzero(known_groups(space.groups)).tolist()
    per_cell = math.ceil(required(place.study.zsl).images_per_class / max(1, len(groups)))
    parts, labels, made, reused = [], [], 0, 0
    for label in sorted((*split.classes.trained, *split.classes.validation, *split.classes.unseen)):
        pools = [maker.pool(label, group, per_cell, OWNER) for group in groups]
        images = [image for pool in pools for image in pool.images]
        if not images:
            raise PublicInputError(NONE_ACCEPTED.format(who=f"class {space.classes[label]!r}"))
        parts.append(encoder.embed_images(np.stack(images)))
        labels += [label] * len(images)
        made += sum(pool.generated for pool in pools)
        reused += sum(pool.reused for pool in pools)
    return Embedded(torch.cat(parts), torch.tensor(labels), made, reused)
