"""Small convolutional networks: one that is fast on one core, and LeNet.

LeNet is the network of NIID-Bench (Li et al. 2022, arXiv 2102.02079), and of Flower's baseline of
it.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

WIDTHS = (32, 64, 64)
GROUPS = 8
HEAD_GAIN = 0.1
"""Factor on the last layer's initial weights: predictions start near uniform. Without it the first
steps of every client undo large, arbitrary logits (75 % instead of 82 % after 12 IID rounds)."""

KERNEL = 5
CHANNELS = (6, 16)
HIDDEN = (120, 84)


class SmallCnn(nn.Module):
    """Three convolutions and a linear layer: 68,000 parameters at 32 × 32 pixels and 10 classes.

    The first convolution has stride 2 and everything runs in the channels-last layout, which is
    what `permute` makes of image arrays: 4,000 training images a second on one core. There is no
    dropout, so training draws no random numbers beside the order of the rows.

    Parameters
    ----------
    num_classes
        Number of logits.
    image_size
        Side of the square images, in pixels; at least 8.
    norm
        Normalisation after each convolution. BatchNorm keeps running statistics, which zero-shot
        augmentation inverts; GroupNorm keeps none, and suits small or skewed batches.

    Raises
    ------
    ValueError
        If the images are too small.
    """

    def __init__(
        self, num_classes: int, image_size: int = 32, norm: Literal["batch", "group"] = "batch"
    ) -> None:
        super().__init__()
        if image_size < 8:
            raise ValueError(f"image_size is {image_size}, expected at least 8")
        first, second, third = WIDTHS
        self.features = nn.Sequential(
            nn.Conv2d(3, first, 5, stride=2, padding=2, bias=False),
            _norm(norm, first),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1, bias=False),
            _norm(norm, second),
            nn.ReLU(),
            nn.Conv2d(second, third, 3, stride=2, padding=1, bias=False),
            _norm(norm, third),
            nn.ReLU(),
            nn.Flatten(),
        )
        side = ((image_size + 1) // 2 // 2 + 1) // 2
        self.head = nn.Linear(third * side * side, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[n, classes]`` of RGB images ``[n, 3, H, W]`` in 0 to 1."""
        logits: Tensor = self.head(self.features(images * 2 - 1))
        return logits

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> None:
        """Draw all weights anew (He et al. 2015, arXiv 1502.01852) and reset the norms."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
                module.reset_parameters()
        self.head.weight.mul_(HEAD_GAIN)


def _norm(norm: Literal["batch", "group"], channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(GROUPS, channels)


class LeNet(nn.Module):
    """Two convolutions and three linear layers: 62,000 parameters at 32 × 32 pixels, 10 classes.

    Images have a side of 16 pixels at least. `batch_norm` puts BatchNorm behind each convolution,
    which the original has not: inversion (Fed-ZDA) needs its statistics.
    """

    def __init__(self, num_classes: int, image_size: int = 32, *, batch_norm: bool = False) -> None:
        super().__init__()
        if image_size < 16:
            raise ValueError(f"image_size is {image_size}, expected at least 16")
        layers: list[nn.Module] = []
        side, before = image_size, 3
        for channels in CHANNELS:
            norm = [nn.BatchNorm2d(channels)] if batch_norm else []
            layers += [nn.Conv2d(before, channels, KERNEL), *norm, nn.ReLU(), nn.MaxPool2d(2)]
            side, before = (side - KERNEL + 1) // 2, channels
        self.features = nn.Sequential(*layers, nn.Flatten())
        first, second = HIDDEN
        self.head = nn.Sequential(
            nn.Linear(before * side * side, first),
            nn.ReLU(),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Linear(second, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[n, classes]`` of RGB images ``[n, 3, H, W]`` in 0 to 1."""
        logits: Tensor = self.head(self.features(images))
        return logits

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> None:
        """Draw weights and biases uniformly from ±1/√fan-in, as PyTorch's layers do themselves."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                bound = module.weight[0].numel() ** -0.5
                for parameter in (module.weight, module.bias):
                    if parameter is not None:
                        parameter.uniform_(-bound, bound, generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
