"""What is set of batch-norm inversion (`generators.inversion`)."""

from __future__ import annotations

from dataclasses import dataclass

from semantic.errors import InputError


@dataclass(frozen=True)
class InversionSettings:
    """Everything but classifier and request that changes an image.

    The paper's values could not be confirmed; ours come from one measurement
    (`docs/generators-inversion.md`).

    Attributes
    ----------
    image_size
        Side of an image in pixels, as the classifier takes it.
    low, high
        What the classifier takes for black and for full brightness. One that wants each channel
        scaled on its own is wrapped with its normalisation.
    steps
        Steps of Adam, at least 1.
    lr
        Its learning rate, for pixels that range from −1 to 1.
    statistics
        Weight α of the distance to the stored statistics, summed over the layers.
    smoothness
        Weight λ of the total variation: mean absolute difference of neighbours, both directions.
    company
        Images in the company, at least 1; several for each output serve best.
    device
        torch's device name, or `"auto"` for CUDA where there is any.
    batch_size
        Images per forward pass. Every batch is filled up to it, as for diffusion.
    """

    image_size: int = 32
    low: float = 0.0
    high: float = 1.0
    steps: int = 150
    lr: float = 0.2
    statistics: float = 0.1
    smoothness: float = 5.0
    company: int = 60
    device: str = "auto"
    batch_size: int = 64

    def __post_init__(self) -> None:
        for name in ("image_size", "steps", "company", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"inversion.{name} is {getattr(self, name)}, expected at least 1")
        for name in ("statistics", "smoothness"):
            if getattr(self, name) < 0:
                raise InputError(f"inversion.{name} is {getattr(self, name)}, expected at least 0")
        if self.lr <= 0 or self.high <= self.low:
            raise InputError("inversion: lr must be above 0, and high above low")
