"""Images out of a classifier alone: batch-norm inversion behind the `Generator` protocol.

Pixels start as noise and descend on the cross-entropy to the wanted label, on total variation, and
on how far means and standard deviations at the input of every BatchNorm layer are from those that
it stored while it was trained (Hao et al. 2021, arXiv 2104.13417; Yin et al. 2020, arXiv
1912.08795). No image, text or diffusion model is needed.

Statistics belong to a batch, and so the images of a batch depend on each other; the same request
must give the same image whatever it rides with. Ours, not the paper's: an *auxiliary batch* of
images over all outputs is inverted together, once per generator, from fixed seeds, and the moments
that it had at every step are kept. A request is then inverted as the one that takes the place of
its average member of the same class, all others being where they were at that step. It costs as
much as an image of an ordinary batch, and depends on the request and the generator alone.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from generators.device import torch_device
from generators.requests import Image, Request
from semantic.errors import InputError
from semantic.naming import UNNAMED_GROUPS
from semantic.space import Cell

if TYPE_CHECKING:
    from torch import nn

    from generators.descent import AuxiliaryBatch


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


def class_outputs(classes: Sequence[str]) -> tuple[Cell, ...]:
    """Cells of a classifier that knows classes and no groups, in the order of its outputs."""
    return tuple(Cell(name, UNNAMED_GROUPS[0]) for name in classes)


class InversionGenerator:
    """A classifier with BatchNorm behind the `Generator` protocol.

    Parameters
    ----------
    model
        Takes RGB images ``[n, 3, image_size, image_size]`` from `low` to `high`, gives logits; it
        is copied, and the copy frozen in evaluation mode.
    outputs
        The cell that each logit stands for, in order: `class_outputs(classes)` for a classifier of
        classes, whose images show whatever group they happen to; every class × group cell for a
        classifier of cells.
    settings
        Weights of the loss, steps, sizes.
    shown
        The auxiliary batch is of the first `shown` outputs; None: of all. For a classifier that
        tells these from something that is never made.

    Raises
    ------
    InputError
        If the classifier has no BatchNorm with running statistics (the message says what it has
        instead), takes other images, or has another number of logits.
    """

    def __init__(
        self,
        model: nn.Module,
        outputs: Sequence[Cell],
        settings: InversionSettings,
        *,
        shown: int | None = None,
    ) -> None:
        import copy

        from generators.classifier import count_outputs

        self.settings = settings
        self._device = torch_device(settings.device, "inversion.device")
        self._model = copy.deepcopy(model).eval().requires_grad_(False).to(self._device)
        self._cells = [_canonical(cell) for cell in outputs]
        self._logits = count_outputs(self._model, settings.image_size, self._device)
        if len(set(self._cells)) != self._logits or len(outputs) != self._logits:
            raise InputError(
                f"the classifier has {self._logits} outputs, and {len(set(self._cells))} different "
                f"cells are named for {len(outputs)} of them; name one for each, in order"
            )
        self._shown = shown or self._logits
        # Of layers, weights, cells and settings; the device is not part of it.
        self.fingerprint = _fingerprint(self._model, self._cells, settings, self._shown)
        self.batch_size = settings.batch_size
        self._guard = threading.Lock()
        self._recorded: AuxiliaryBatch | None = None

    def generate(self, requests: Sequence[Request]) -> Image:
        """Images of the requests, ``[n, size, size, 3]``; a prompt has no influence.

        Refused where the classifier has no output for a cell, or a request asks for what only a
        text-conditioned generator can do.
        """
        labels = [self._label(request) for request in requests]
        size, step = self.settings.image_size, self.settings.batch_size
        images = np.zeros((len(requests), size, size, 3), np.uint8)
        for start in range(0, len(requests), step):
            seeds = [request.seed for request in requests[start : start + step]]
            wanted = labels[start : start + step]
            spare = step - len(seeds)
            made = self._invert(seeds + seeds[-1:] * spare, wanted + wanted[-1:] * spare)
            images[start : start + len(seeds)] = made[: len(seeds)]
        return images

    def autoencode(self, images: Image) -> Image:
        """The images as they are: a classifier has nothing to render a real image with."""
        return images.copy()

    def _label(self, request: Request) -> int:
        if request.negative or request.terms or request.prototype or request.source is not None:
            raise InputError(
                f"{request.cell}: batch-norm inversion follows the cell alone; leave out negative "
                "prompts, composition, prototypes and source images, or use the diffusion generator"
            )
        cell = _canonical(request.cell)
        if cell not in self._cells:
            known = ", ".join(str(known) for known in self._cells)
            raise InputError(
                f"the classifier has no output for {request.cell} (it knows {known}); groups can "
                "be asked for only of a classifier that was trained on class × group cells"
            )
        return self._cells.index(cell)

    def _invert(self, seeds: list[int], labels: list[int]) -> Image:
        """One full batch of requests, each in the place of a member of the auxiliary batch."""
        import torch

        from generators.descent import descend

        rows = torch.tensor(labels, device=self._device)
        pixels = descend(
            self._model, seeds, rows, self._auxiliary_batch().penalty(rows), self.settings
        )
        shown = ((pixels + 1) * 127.5).round().byte()
        return np.ascontiguousarray(shown.permute(0, 2, 3, 1).cpu().numpy())

    def _auxiliary_batch(self) -> AuxiliaryBatch:
        """The auxiliary batch, inverted when the first image is asked for."""
        from generators.descent import record_auxiliary_batch

        with self._guard:
            if self._recorded is None:
                self._recorded = record_auxiliary_batch(
                    self._model, self._logits, self.settings, self._shown
                )
            return self._recorded


def load_inversion(
    path: Path, outputs: Sequence[Cell], settings: InversionSettings
) -> InversionGenerator:
    """Generator for a classifier in a file that `generators.classifier.save_classifier` wrote."""
    from generators.classifier import load_classifier

    return InversionGenerator(load_classifier(path), outputs, settings)


def _canonical(cell: Cell) -> Cell:
    """The cell with one name for "no group"."""
    unnamed = cell.group in UNNAMED_GROUPS
    return Cell(cell.class_name, UNNAMED_GROUPS[0]) if unnamed else cell


def _fingerprint(
    model: nn.Module, cells: list[Cell], settings: InversionSettings, shown: int
) -> str:
    import torch

    changing = {k: v for k, v in asdict(settings).items() if k != "device"}
    named = [(cell.class_name, cell.group) for cell in cells]
    described = [str(model), named, changing, *([shown] if shown < len(cells) else [])]
    total = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name, tensor in model.state_dict().items():
        total.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        total.update(tensor.cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()[:16]
