"""The federated model that a configuration names, and rows as that model takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fairfed.models.build import build_model

if TYPE_CHECKING:
    from fairfed.config import Arm, Config


def federated_model(config: Config, num_classes: int, arm: Arm | None = None) -> nn.Module:
    """The untrained model of a configuration, or of an arm; the same for server and clients."""
    from semantic.encoder import load_encoder

    if config.model == "clip":
        from fairfed.adapting.classifier import adapted_clip

        return adapted_clip(config, arm)
    if config.data.tabular:
        from fairfed.tabular import input_names

        inputs = len(input_names(config.data.table))
        return build_model(config.model, num_classes, seed=config.seed, inputs=inputs)
    encoder = load_encoder(config.semantic.encoder) if config.model == "clip-head" else None
    return build_model(
        config.model, num_classes, config.data.image_size, seed=config.seed, encoder=encoder
    )


def model_inputs(config: Config, images: npt.NDArray[np.uint8], arm: Arm | None = None) -> Tensor:
    """Images ``[n, H, W, 3]`` as the training of the model, or of an arm's, takes them.

    Returns
    -------
    The images as a tensor; where the image encoder is frozen, their embeddings ``[n, dimension]``,
    so that each image is embedded once and not in every round.
    """
    from semantic.encoder import load_encoder

    if config.model == "clip-head" or embeds_once(config, arm):
        return load_encoder(config.semantic.encoder).embed_images(images)
    return torch.from_numpy(np.ascontiguousarray(images))


def embeds_once(config: Config, arm: Arm | None) -> bool:
    """Whether an adapted CLIP leaves its image tower as it is."""
    if config.model != "clip":
        return False
    from fairfed.adapting.classifier import keeps_tower

    return keeps_tower(config, arm)
