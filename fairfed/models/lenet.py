"""The network of NIID-Bench (Li et al. 2022, arXiv 2102.02079) and of Flower's baseline of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

KERNEL = 5
CHANNELS = (6, 16)
HIDDEN = (120, 84)


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
