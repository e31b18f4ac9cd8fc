"""Fed-ZDAC: a client makes images of the classes that it lacks out of the model it received.

An inverted image shows a class and no group. Where a group is needed (weights of training rows by
group), the images of a class count as evenly spread over all known groups, so that they move none.
They never count as real: `n_real`, the counts and the client's weight are of its own rows.

Between two inversions a client keeps its images in its state. That is in the checkpoint where the
engine can save it; elsewhere (Ray, real sites after a restart) a continued run inverts once more.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from flwr.app import Array, ArrayRecord, Context

from fairfed.systems.inversion import inversion_settings
from generators.requests import Image
from semantic.space import known_groups

if TYPE_CHECKING:
    from torch import nn

    from fairfed.config import Arm
    from fairfed.sites.site import Site
    from fairfed.sites.training_set import TrainingSet

Labels = npt.NDArray[np.int64]


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
    from fairfed.systems.inversion.images import make_images

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
    import torch

    each = len(images) // len(lacking)
    labels = np.repeat(lacking, each)
    turns = (np.arange(each) + lacking[:, None]).ravel() % len(groups)  # the rest to other groups
    spread = groups[turns]
    return replace(
        real,
        inputs=torch.cat([real.inputs, site.place.inputs(images)]),
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
