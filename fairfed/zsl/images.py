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

from fairfed.config import Config
from fairfed.errors import PublicInputError
from fairfed.generation import NONE_ACCEPTED, synthesiser_of
from fairfed.zsl.data import attributes_of
from fairfed.zsl.split import Split
from fairfed.zsl.table import FeatureTable
from fairfed.zsl.variants import settings
from generators.synthesis import Synthesiser
from semantic.conditioning import Conditioner
from semantic.space import TEMPLATES, SemanticSpace, known_groups

OWNER = "zsl server"
"""Whose images they are in the store."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings of generated images.

    Attributes
    ----------
    features, labels
        ``[n, d]`` and ``[n]``.
    made, reused
        Images generated now, and taken from the store.
    """

    features: Tensor
    labels: Tensor
    made: int
    reused: int


def synthesiser(config: Config, table: FeatureTable, split: Split) -> Synthesiser:
    """What makes and curates the images.

    Unseen and validation classes are described without their names, unless `zsl.conditioning` is
    `name`.

    Raises
    ------
    InputError
        If a model is not to be had.
    """
    templates = config.semantic.templates or TEMPLATES
    attributes = attributes_of(config, table.classes)
    space = SemanticSpace(table.classes, table.groups, attributes, templates)
    held = (*split.classes.unseen, *split.classes.validation)
    conditioner = Conditioner(
        space,
        settings(config).conditioning,
        unnamed=tuple(table.classes[c] for c in held)
        if settings(config).conditioning != "name"
        else (),
    )
    return synthesiser_of(config, space, conditioner, whole_batches=False)


def embed_generated(config: Config, table: FeatureTable, split: Split) -> Embedded:
    """Generate and embed images of all trained, validation and unseen classes.

    Raises
    ------
    InputError
        If no image of a class is accepted.
    """
    from semantic.encoder import load_encoder

    maker, encoder = synthesiser(config, table, split), load_encoder(config.semantic.encoder)
    groups = np.flatnonzero(known_groups(table.groups)).tolist()
    per_cell = math.ceil(settings(config).images_per_class / max(1, len(groups)))
    parts, labels, made, reused = [], [], 0, 0
    for label in sorted((*split.classes.trained, *split.classes.validation, *split.classes.unseen)):
        pools = [maker.pool(label, group, per_cell, OWNER) for group in groups]
        images = [image for pool in pools for image in pool.images]
        if not images:
            raise PublicInputError(NONE_ACCEPTED.format(who=f"class {table.classes[label]!r}"))
        parts.append(encoder.embed_images(np.stack(images)))
        labels += [label] * len(images)
        made += sum(pool.generated for pool in pools)
        reused += sum(pool.reused for pool in pools)
    return Embedded(torch.cat(parts), torch.tensor(labels), made, reused)
