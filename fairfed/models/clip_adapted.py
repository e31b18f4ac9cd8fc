"""A pretrained CLIP as classifier, of which only the adapted part is trained and communicated.

Adaptation of foundation models (Bommasani et al. 2021, arXiv 2108.07258, §4.3). Every site has the
same pretrained weights; messages hold what differs from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairfed.models.partial import Partial

BATCH = 256


class AdaptedClip(Partial):
    """Logits are scaled cosines of an image's embedding to one vector a class.

    Parameters
    ----------
    tower
        open_clip's image tower; some, all or none of its parameters ask for gradients.
    classes
        Gives the class vectors ``[classes, dimension]``.
    scale
        Factor of the cosines.
    whole
        Whether the tower is trained whole: then its BatchNorm uses and updates batch statistics,
        which else stay as they were pretrained.
    """

    def __init__(
        self, tower: nn.Module, classes: nn.Module, scale: float, *, whole: bool = False
    ) -> None:
        super().__init__()
        self.tower = tower
        self.classes = classes
        self._scale = scale
        self._whole = whole
        self._preparation: Mapping[str, Any] = getattr(tower, "preprocess_cfg", {})

    @property
    def trains_tower(self) -> bool:
        """Whether an image's embedding changes in training."""
        return any(parameter.requires_grad for parameter in self.tower.parameters())

    def trained_names(self) -> set[str]:
        """Names of what is communicated; the statistics of a tower that is trained whole, too."""
        names = super().trained_names()
        if self._whole:
            names |= {name for name, _ in self.named_buffers() if name.startswith("tower.")}
        return names

    def train(self, mode: bool = True) -> AdaptedClip:
        """Change the mode; a tower that is not trained whole stays in evaluation mode."""
        super().train(mode)
        self.tower.train(mode and self._whole)
        return self

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings ``[n, dimension]`` of RGB images ``[n, H, W, 3]``, uint8; no gradients."""
        self.tower.eval()
        with torch.no_grad():
            parts = [
                self._embedded(batch.permute(0, 3, 1, 2).float() / 255)
                for batch in images.split(BATCH)
            ]
        return torch.cat(parts)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``[n, classes]`` of images ``[n, 3, H, W]`` in 0 to 1, or of embeddings."""
        embeddings = inputs if inputs.ndim == 2 else self._embedded(inputs)
        vectors = F.normalize(self.classes())
        return self._scale * F.linear(F.normalize(embeddings), vectors)

    def _embedded(self, images: Tensor) -> Tensor:
        found: Tensor = self.tower(prepared(images, self._preparation))
        return found


def prepared(images: Tensor, how: Mapping[str, Any]) -> Tensor:
    """Images ``[n, 3, H, W]`` in 0 to 1 as open_clip's preprocessing makes them for a tower.

    Differs from it by rounding where images are resized; square images need no cropping.
    """
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2.functional import normalize, resize

    size = how["size"] if isinstance(how["size"], int) else how["size"][0]
    if tuple(images.shape[2:]) != (size, size):
        mode = InterpolationMode(how.get("interpolation", "bicubic"))
        images = resize(images, [size, size], mode, antialias=True).clamp(0, 1)
    found: Tensor = normalize(images, list(how["mean"]), list(how["std"]))
    return found
