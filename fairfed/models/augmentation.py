"""Classical augmentation of a batch, with random numbers of one's own.

torchvision's classes draw from PyTorch's global random state, which clients that train in threads
share: a run would not repeat. The operations are torchvision's (`transforms.v2.functional`), the
draws are ours.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

OPERATIONS = 2
"""Operations on each image, N of RandAugment."""
STRENGTH = 9 / 30
"""Magnitude of RandAugment (9 of 30), as a share of the largest."""
MIXUP = 0.2
"""Both parameters of MixUp's Beta distribution; the paper's values are 0.1 to 0.4."""


def randaugment(images: Tensor, generator: torch.Generator) -> Tensor:
    """RandAugment: two random operations on each image (Cubuk et al. 2020, arXiv 1909.13719).

    Operations and ranges are those of `torchvision.transforms.v2.RandAugment` at its defaults.
    Images ``[n, H, W, 3]``, uint8, become images of the same shape and type.
    """
    found = images.permute(0, 3, 1, 2).contiguous()
    operations = _operations(found.shape[-1])
    for _ in range(OPERATIONS):
        drawn = torch.randint(len(operations), (len(found),), generator=generator)
        signs = torch.randint(2, (len(found),), generator=generator) * 2 - 1
        # Images with the same operation go through it together.
        for which, sign in {(int(w), int(s)) for w, s in zip(drawn, signs, strict=True)}:
            rows = (drawn == which) & (signs == sign)
            found[rows] = operations[which](found[rows], sign)
    return found.permute(0, 2, 3, 1)


def _operations(side: int) -> tuple[Callable[[Tensor, int], Tensor], ...]:
    """The fourteen operations on ``[n, 3, H, W]`` and a sign, at the one strength."""
    from torchvision.transforms import v2
    from torchvision.transforms.v2 import functional as f

    def affine(images: Tensor, **how: list[float]) -> Tensor:
        still = {"translate": [0, 0], "shear": [0.0, 0.0]}
        moved: Tensor = f.affine(images, angle=0.0, scale=1.0, **{**still, **how})
        return moved

    smooth = v2.InterpolationMode.NEAREST
    shear, shift = np.degrees(np.arctan(0.3 * STRENGTH)), 150.0 / 331.0 * side * STRENGTH
    enhance = 0.9 * STRENGTH
    return (
        lambda x, s: x,
        lambda x, s: affine(x, shear=[s * shear, 0.0], center=[0.0, 0.0]),
        lambda x, s: affine(x, shear=[0.0, s * shear], center=[0.0, 0.0]),
        lambda x, s: affine(x, translate=[int(s * shift), 0]),
        lambda x, s: affine(x, translate=[0, int(s * shift)]),
        lambda x, s: f.rotate(x, s * 30.0 * STRENGTH, interpolation=smooth),
        lambda x, s: f.adjust_brightness(x, 1 + s * enhance),
        lambda x, s: f.adjust_saturation(x, 1 + s * enhance),
        lambda x, s: f.adjust_contrast(x, 1 + s * enhance),
        lambda x, s: f.adjust_sharpness(x, 1 + s * enhance),
        lambda x, s: f.posterize(x, 8 - round(4 * STRENGTH)),
        lambda x, s: f.solarize(x, 255 * (1 - STRENGTH)),
        lambda x, s: f.autocontrast(x),
        lambda x, s: f.equalize(x),
    )


def mixup(n_rows: int, generator: torch.Generator) -> tuple[Tensor, float]:
    """Draw what MixUp blends (Zhang et al. 2018, arXiv 1710.09412).

    That is the partner ``[n_rows]`` of each row of the batch, and the share of the row itself in
    [0, 1]; the partner has the rest.
    """
    partners = torch.randperm(n_rows, generator=generator)
    seed = int(torch.randint(2**62, (), generator=generator))
    return partners, float(np.random.default_rng(seed).beta(MIXUP, MIXUP))
