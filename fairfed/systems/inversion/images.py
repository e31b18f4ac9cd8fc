"""Fed-ZDAC: images by class out of a federated model, and which models give any.

A client makes images of the classes that it lacks out of the model it received. An inverted image
shows a class and no group. Where a group is needed (weights of training rows by group), the images
of a class count as evenly spread over all known groups, so that they move none. They never count as
real: `n_real`, the counts and the client's weight are of its own rows.

Between two inversions a client keeps its images in its state. That is in the checkpoint where the
engine can save it; elsewhere (Ray, real sites after a restart) a continued run inverts once more.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from flwr.app import Array, ArrayRecord, Context
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fairfed.config import Arm
from fairfed.models.inputs import together
from fairfed.sites.site import Site
from fairfed.sites.training_set import TrainingSet
from fairfed.sites.workplace import Workplace
from fairfed.systems.inversion import inversion_settings
from generators.inversion import InversionGenerator, InversionSettings, class_outputs
from generators.requests import Image, Request, request_seed
from semantic.errors import InputError
from semantic.space import known_groups

Labels = npt.NDArray[np.int64]
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


def with_inverted(
    context: Context,
    site: Site,
    arm: Arm,
    number: int,
    model: nn.Module,
    real: TrainingSet,
) -> tuple[TrainingSet, dict[str, int | float]]:
    """Add images of the classes that a client lacks to its real rows.

    The model is the received one, in the round of this number (from 1), and is not changed. The
    client's state keeps images that serve for more than one round.

    Returns
    -------
    The training set, and what it cost, by the names of a reply: images made, images found in this
    process's memory, seconds. Nothing before `inversion.start`, for a client that lacks no class,
    or with images that it has kept.
    """
    settings, labels, client = inversion_settings(site.study), site.study.labels, site.index
    classes, groups = len(labels.classes), np.flatnonzero(known_groups(labels.groups))
    lacking = np.flatnonzero(np.bincount(real.labels.numpy(), minlength=classes) == 0)
    if number < settings.start or not len(lacking):
        return real, {}
    period = (number - settings.start) // settings.every
    images, cost = _recall(context, arm, period), dict[str, int | float]()
    if images is None:
        began = time.perf_counter()
        occasion = f"round {number}" if settings.share else f"round {number} client {client}"
        turned = np.roll(lacking, -(client % len(lacking)))  # workers begin with different classes
        found, fresh = make_images(site.place, model, classes, turned.tolist(), occasion)
        images = np.concatenate([found[label] for label in lacking.tolist()])
        cost = {"generated": fresh, "reused": len(images) - fresh}
        cost["inversion-seconds"] = time.perf_counter() - began
        if settings.every > 1:
            _keep(context, arm, period, images)
    return _joined(site, arm, real, images, lacking, groups), cost


def _joined(
    site: Site, arm: Arm, real: TrainingSet, images: Image, lacking: Labels, groups: Labels
) -> TrainingSet:
    """Real rows first, then the images, as many of each class."""
    each = len(images) // len(lacking)
    labels = np.repeat(lacking, each)
    turns = (np.arange(each) + lacking[:, None]).ravel() % len(groups)  # the rest to other groups
    spread = groups[turns]
    return replace(
        real,
        inputs=together([real.inputs, site.place.inputs(images)]),
        labels=torch.cat([real.labels, torch.from_numpy(labels)]),
        groups=torch.cat([real.groups, torch.from_numpy(spread)]),
        weights=site.sampling_weights(arm, real.labels.numpy(), labels),
        n_synthetic=len(images),
    )


def _recall(context: Context, arm: Arm, period: int) -> Image | None:
    """The images of this period, if the client has made them."""
    kept = context.state.array_records.get(_key(arm))
    if kept is None or int(kept["period"].numpy()[0]) != period:
        return None
    return kept["images"].numpy()


def _keep(context: Context, arm: Arm, period: int, images: Image) -> None:
    context.state[_key(arm)] = ArrayRecord(
        {"period": Array(np.array([period])), "images": Array(images)}
    )


def _key(arm: Arm) -> str:
    """Name of an arm's record: the arms of a run share a client's state."""
    return f"inversion-{arm.slug}"
