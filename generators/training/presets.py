"""Sizes of the networks and how long they are trained, by name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from generators.training.loop import Schedule

LATENT_CHANNELS = 8


@dataclass(frozen=True)
class Preset:
    """What is trained: a size of images, the networks' widths, a schedule for each.

    `autoencoder` and `unet` are channels of the levels, each of which halves the image, but for the
    first; `clip` is the width of CLIP's image tower.
    """

    image_size: int
    autoencoder: tuple[int, ...] = (32, 64, 64)
    unet: tuple[int, ...] = (64, 128)
    clip: int = 20
    schedules: dict[str, Schedule] = field(
        default_factory=lambda: {
            "clip": Schedule(1300, 256, 2e-3, weight_decay=0.05),
            "critic": Schedule(1000, 128, 3e-3),
            "autoencoder": Schedule(2200, 96, 2e-3, weight_decay=1e-4, average=0.995),
            "unet": Schedule(4600, 128, 1.5e-3, average=0.999),
            "projection": Schedule(700, 128, 5e-3, average=0.99),
        }
    )

    @property
    def latent_size(self) -> int:
        """Height and width of a latent."""
        return self.image_size >> (len(self.autoencoder) - 1)

    def paced(self, effort: float) -> Preset:
        """The same with so many times the steps."""
        paced = {
            name: replace(own, steps=max(1, round(own.steps * effort)))
            for name, own in self.schedules.items()
        }
        return replace(self, schedules=paced)


PRESETS = {
    "mini-32": Preset(32),
    "mini-64": Preset(64, unet=(64, 128, 192), clip=24),
}
"""By the size of their images in pixels: minutes to hours on a CPU."""
