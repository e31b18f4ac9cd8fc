"""The networks of f-CLSWGAN (Xian et al., CVPR 2018) as Sun et al. (2022) condition them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairfed.config.zsl import ZslSettings
from fairfed.systems.zsl.table import FeatureTable
from fairfed.systems.zsl.variants import Variant

INITIAL, CRITIC, CLASSIFIER, TRAINING, JUDGING, TESTING = range(101, 107)
"""Purposes of random numbers: the first number of what `fairfed.draws.generator_of` is given."""
BETAS = (0.5, 0.999)
"""Adam's, everywhere in f-CLSWGAN."""
SLOPE = 0.2
"""Of the leaky rectifiers below 0."""
INITIAL_DEVIATION = 0.02
"""Standard deviation of initial weights, as in f-CLSWGAN; biases begin at 0."""


class FeatureGenerator(nn.Module):
    """Noise, attributes and CLIP text to a feature: one hidden layer.

    The noise has as many numbers as there are attributes, as in f-CLSWGAN.
    """

    def __init__(
        self, attributes: int, texts: int, features: int, hidden: int, rectified: bool
    ) -> None:
        super().__init__()
        self.noise = attributes
        last: nn.Module = nn.ReLU() if rectified else nn.Identity()
        self.layers = nn.Sequential(
            nn.Linear(attributes + attributes + texts, hidden),
            nn.LeakyReLU(SLOPE),
            nn.Linear(hidden, features),
            last,
        )

    def forward(self, condition: Tensor, generator: torch.Generator) -> Tensor:
        """Features of conditions ``[n, attributes + texts]``, ``[n, features]``."""
        noise = torch.randn(len(condition), self.noise, generator=generator)
        made: Tensor = self.layers(torch.cat([noise, condition], 1))
        return made


class Discriminator(nn.Module):
    """Feature and attributes to a score; it never sees CLIP's text."""

    def __init__(self, attributes: int, features: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features + attributes, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, 1)
        )

    def forward(self, features: Tensor, attributes: Tensor) -> Tensor:
        """Scores ``[n, 1]``."""
        scores: Tensor = self.layers(torch.cat([features, attributes], 1))
        return scores


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw weights anew, from this generator alone."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            else:
                parameter.normal_(0.0, INITIAL_DEVIATION, generator=generator)


def feature_generator(table: FeatureTable, variant: Variant, zsl: ZslSettings) -> FeatureGenerator:
    """The generator of a variant, its weights not yet drawn.

    Its last rectifier (the paper's) stays only where real features have one.
    """
    texts = table.texts.shape[1] if variant.text else 0
    dimension = table.features.shape[1]
    return FeatureGenerator(
        table.attributes.shape[1], texts, dimension, zsl.hidden, table.rectified
    )


def discriminator(table: FeatureTable, zsl: ZslSettings) -> Discriminator:
    """The discriminator of a client, its weights not yet drawn."""
    return Discriminator(table.attributes.shape[1], table.features.shape[1], zsl.hidden)


class Conditions:
    """What conditions a generator of a variant, class by class.

    The deviation is that of the noise on CLIP's text, where the variant has noise.
    """

    def __init__(self, table: FeatureTable, variant: Variant, deviation: float) -> None:
        self.attributes = torch.from_numpy(table.attributes)
        self._texts = torch.from_numpy(table.texts) if variant.text else None
        self._deviation = deviation if variant.noise else 0.0

    def draw(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Conditions of samples of these classes, ``[n, A + T]``; noise is fresh for each."""
        parts = [self.attributes[labels]]
        if self._texts is not None:
            texts = self._texts[labels]
            if self._deviation:
                texts = texts + self._deviation * torch.randn(texts.shape, generator=generator)
            parts.append(texts)
        return torch.cat(parts, 1)
