"""How CLIP reads the sensitive group of an image whose class is known, and how often it errs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generators.requests import Image
from semantic.arrays import Floats, Indices, Vectors
from semantic.errors import InputError
from semantic.naming import CROSSED, UNNAMED_GROUPS
from semantic.space import CellScorer, SemanticSpace

STEPS, SMALLEST_STEP = 10_000, 1e-10


def readable_groups(space: SemanticSpace) -> list[int]:
    """Positions of the groups that an image can show: two at least, without an unnamed value."""
    found = [
        index
        for index, group in enumerate(space.groups)
        if not any(value in UNNAMED_GROUPS for value in group.split(CROSSED))
    ]
    if len(found) < 2:
        raise InputError(
            f"the groups {', '.join(space.groups)} name fewer than two that an image can show; "
            "give the data a sensitive feature with two values or more"
        )
    return found


def read_groups(space: SemanticSpace, scores: Vectors, labels: Indices) -> Indices:
    """The group that CLIP finds most probable in each image, given the class that it (shall) show.

    ``[n]``, positions in `readable_groups`, from scores ``[n, n_classes, n_groups]``.
    """
    own = scores[np.arange(len(scores)), labels]
    read: Indices = own[:, readable_groups(space)].argmax(1)
    return read


@dataclass(frozen=True)
class GroupReading:
    """CLIP's reading of groups on real images.

    Attributes
    ----------
    confusion
        Images by true and read group, rows true; in the order of `readable_groups`.
    n
        Images.
    accuracy
        Share read right, with its Wilson interval.
    interval
        95 % interval of the accuracy.
    by_chance
        Accuracy of a reading as frequent per group as this one, but blind to the image.
    p_value
        Binomial test that the accuracy is above `by_chance`.
    """

    confusion: tuple[tuple[int, ...], ...]
    n: int
    accuracy: float
    interval: tuple[float, float]
    by_chance: float
    p_value: float

    def rates(self) -> Floats | None:
        """``[true, read]`` shares; None if a group has no real image."""
        counts = np.array(self.confusion, np.float64)
        totals = counts.sum(1, keepdims=True)
        return counts / totals if totals.all() else None


def group_reading(
    scorer: CellScorer,
    images: Image,
    labels: Indices,
    groups: Indices,
) -> GroupReading:
    """Compare CLIP's reading with the groups of real images, each of its known class.

    Labels and groups are positions in the scorer's space. Images of unreadable groups are left out.
    """
    from scipy.stats import binomtest

    readable = readable_groups(scorer.space)
    rows = np.flatnonzero(np.isin(groups, readable))
    if len(rows) == 0:
        raise InputError("no real image belongs to a group that can be read; leave them out")
    true = np.searchsorted(readable, groups[rows])
    read = read_groups(scorer.space, scorer.scores(images[rows]), labels[rows])
    confusion = np.zeros((len(readable), len(readable)), np.int64)
    np.add.at(confusion, (true, read), 1)
    n, right = len(rows), int(np.trace(confusion))
    by_chance = float(confusion.sum(0) @ confusion.sum(1)) / n**2
    interval = binomtest(right, n).proportion_ci(method="wilson")
    return GroupReading(
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        n=n,
        accuracy=right / n,
        interval=(float(interval.low), float(interval.high)),
        by_chance=by_chance,
        p_value=float(binomtest(right, n, by_chance, alternative="greater").pvalue),
    )


def true_shares(read: Floats, rates: Floats) -> Floats:
    """Most likely shares of true groups behind the shares that were read, ``[n_groups]``.

    Maximum likelihood by expectation maximisation, which stays within shares where inverting the
    confusion matrix would not (Saerens et al. 2002, doi:10.1162/089976602753284446, for hard
    decisions). It takes the rates, ``[true, read]``, as known and the same for generated images as
    for real ones.
    """
    found = np.full(len(read), 1 / len(read))
    for _ in range(STEPS):
        joint = found[:, None] * rates
        totals = joint.sum(0)
        posterior = joint / np.where(totals > 0, totals, 1)
        following = posterior @ read
        following /= following.sum()
        if np.abs(following - found).max() < SMALLEST_STEP:
            return following
        found = following
    return found
