"""A classification head on frozen CLIP image embeddings."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCALE = 20.0


class ImageEncoder(Protocol):
    """What a head needs of an encoder; `semantic.encoder.ClipEncoder` is one."""

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        ...

    def embed_images(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Embeddings ``[n, dimension]`` of RGB images ``[n, H, W, 3]``, 0 to 255."""
        ...


class ClipHead(nn.Module):
    """A cosine classifier: logits are scaled cosines of an embedding to one vector a class.

    Only the vectors are parameters, and thus the state that a federation exchanges: the encoder is
    frozen, stays where it is, and is no submodule.

    Parameters
    ----------
    encoder
        The frozen encoder.
    num_classes
        Number of logits.
    """

    def __init__(self, encoder: ImageEncoder, num_classes: int) -> None:
        super().__init__()
        self._embed = encoder.embed_images
        self.weight = nn.Parameter(torch.zeros(num_classes, encoder.dimension))

    def draw(self, generator: torch.Generator) -> None:
        """Draw the vectors anew."""
        nn.init.normal_(self.weight, generator=generator)

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings ``[n, dimension]`` of RGB images ``[n, H, W, 3]``, uint8."""
        with torch.no_grad():
            return self._embed(images.numpy()).detach().to(torch.float32)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits ``[n, classes]`` of embeddings ``[n, dimension]``."""
        return SCALE * F.linear(F.normalize(embeddings), F.normalize(self.weight))
