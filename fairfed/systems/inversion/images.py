"""Images by class out of a federated model, and which models give any."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fairfed.sites.workplace import Workplace
from fairfed.systems.inversion import inversion_settings
from generators.inversion import InversionGenerator, InversionSettings, class_outputs
from generators.requests import Image, Request, request_seed
from semantic.errors import InputError

NO_BATCH_NORM = (
    "inversion = '{inversion}' makes images from the statistics that BatchNorm layers keep, and "
    "the model '{model}' has none (it normalises by: {found}); choose model = 'cnn-bn' or "
    "'lenet-bn', or augment = true, which needs no such layer"
)
BATCH = 64
"""Most images in one forward pass."""
OTHERS = "all others"
"""What a single class is told from."""
KEPT = 128
"""Classes of shared images that a process remembers."""


def require_batch_norm(model: nn.Module, name: str, inversion: str) -> None:
    """Refuse a model without BatchNorm layers that keep running statistics.

    The message has what the configuration calls the model, what the arm asks for, and what the
    model normalises by instead.
    """
    norms = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    if any(layer.running_mean is not None for layer in norms):
        return
    kinds = {type(layer).__name__ for layer in model.modules()}
    found = ", ".join(sorted(kind for kind in kinds if "Norm" in kind)) or "nothing"
    raise InputError(NO_BATCH_NORM.format(inversion=inversion, model=name, found=found))


class _Known(nn.Module):
    """A classifier that is asked about some of its classes alone.

    What it says of classes that it has never seen would pull the images away from its statistics,
    which are of the others. A single class is told from all others together, as there would be
    nothing to tell apart otherwise: the cross-entropy is then that of all logits.
    """

    def __init__(self, model: nn.Module, classes: Sequence[int]) -> None:
        super().__init__()
        self.model, self.classes = model, list(classes)

    def extra_repr(self) -> str:
        """The classes, which are part of a generator's fingerprint."""
        return f"classes={self.classes}"

    def forward(self, images: Tensor) -> Tensor:
        """Logits of RGB images ``[n, 3, H, W]`` in 0 to 1: ``[n, len(classes)]``, or ``[n, 2]``."""
        logits: Tensor = self.model(images)
        known = logits[:, self.classes]
        if len(self.classes) > 1:
            return known
        others = torch.arange(logits.shape[1], device=logits.device) != self.classes[0]
        return torch.cat([known, logits[:, others].logsumexp(1, keepdim=True)], 1)


class Inverter:
    """Makes images of the classes that a model knows: RGB images in 0 to 1 give its logits.

    The model is copied. One that cannot be inverted is refused: without BatchNorm statistics, or
    without finite logits.
    """

    def __init__(self, place: Workplace, model: nn.Module, classes: Sequence[int]) -> None:
        chosen = inversion_settings(place.study)
        settings = InversionSettings(
            image_size=place.labels.image_size,
            steps=chosen.steps,
            lr=chosen.lr,
            statistics=chosen.statistics,
            smoothness=chosen.smoothness,
            company=chosen.company * len(classes),
            device=place.sources.device,
            batch_size=min(BATCH, chosen.per_class),
        )
        self.seed, self.count = place.study.seed, chosen.per_class
        self._cells = dict(zip(classes, class_outputs([str(c) for c in classes]), strict=True))
        others = class_outputs([OTHERS]) if len(classes) == 1 else ()
        outputs = [*self._cells.values(), *others]
        self.generator = InversionGenerator(
            _Known(model, classes), outputs, settings, shown=len(classes)
        )

    def images(self, label: int, occasion: str) -> Image:
        """Images of a class, ``[per_class, H, W, 3]``.

        The occasion says whose images these are and of which round: other words, other images.
        """
        cell = self._cells[label]
        return self.generator.generate(
            [
                Request(cell, "", request_seed(self.seed, occasion, cell, index))
                for index in range(self.count)
            ]
        )


class _Made:
    """What this process has made of late: clients with the same model and wishes share it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._generators: OrderedDict[str, InversionGenerator] = OrderedDict()
        self._images: OrderedDict[
            tuple[str, int, int, int, str], tuple[threading.Lock, list[Image]]
        ]
        self._images = OrderedDict()

    def same(self, inverter: Inverter) -> None:
        """Let inverters of one model use one generator, whose company is inverted once."""
        key = inverter.generator.fingerprint
        with self._guard:
            inverter.generator = self._generators.setdefault(key, inverter.generator)
            while len(self._generators) > 2:
                self._generators.popitem(last=False)

    def images(self, inverter: Inverter, label: int, occasion: str) -> tuple[Image, bool]:
        """Images of a class, and whether they were made now."""
        key = inverter.generator.fingerprint, inverter.seed, inverter.count, label, occasion
        with self._guard:
            lock, place = self._images.setdefault(key, (threading.Lock(), []))
            while len(self._images) > KEPT:
                self._images.popitem(last=False)
        with lock:  # a second client waits for the first one's
            fresh = not place
            if fresh:
                place.append(inverter.images(label, occasion))
            return place[0], fresh


_made = _Made()


def make_images(
    place: Workplace, model: nn.Module, classes: int, wanted: Sequence[int], occasion: str
) -> tuple[dict[int, Image], int]:
    """Images by label of a model of all `classes`, and how many of them were made now.

    The same arguments give the same images; within a process they are made once. The labels wanted
    are gone about in their order; see `Inverter.images` for the occasion.
    """
    inverter = Inverter(place, model, range(classes))
    _made.same(inverter)
    found = {label: _made.images(inverter, label, occasion) for label in wanted}
    images = {label: images for label, (images, _) in found.items()}
    return images, sum(len(images) for images, fresh in found.values() if fresh)
