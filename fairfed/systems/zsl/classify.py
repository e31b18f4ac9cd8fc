"""Linear classifiers on features, and how zero-shot learning counts what they say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

BETAS = (0.5, 0.999)
"""Adam's, everywhere in f-CLSWGAN."""


def fit_softmax(
    features: Tensor,
    labels: Tensor,
    classes: Sequence[int],
    *,
    epochs: int,
    lr: float,
    batch_size: int,
    generator: torch.Generator,
) -> nn.Linear:
    """Train a linear softmax classifier with Adam.

    Parameters
    ----------
    features, labels
        ``[n, d]``, and ``[n]`` of which each is one of `classes`.
    classes
        What its outputs stand for, in order.

    Returns
    -------
    The classifier, frozen; weights begin at zero, so that only the order of rows is random.
    """
    targets = _positions(labels, classes)
    model = nn.Linear(features.shape[1], len(classes))
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    optimiser = torch.optim.Adam(model.parameters(), lr=lr, betas=BETAS)
    for _ in range(epochs):
        order = torch.randperm(len(labels), generator=generator)
        for batch in order.tensor_split(math.ceil(len(order) / batch_size)):
            optimiser.zero_grad(set_to_none=True)
            F.cross_entropy(model(features[batch]), targets[batch]).backward()
            optimiser.step()
    return model.requires_grad_(False)


def _positions(labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Where each label stands in `classes`."""
    place = torch.full((max(classes) + 1,), -1)
    place[torch.tensor(classes)] = torch.arange(len(classes))
    return place[labels]


def predict(model: nn.Linear, features: Tensor, classes: Sequence[int]) -> npt.NDArray[np.int64]:
    """The most probable class of each row, ``[n]``."""
    with torch.no_grad():
        found: npt.NDArray[np.int64] = torch.tensor(classes)[model(features).argmax(1)].numpy()
    return found


def mean_class_accuracy(labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> float:
    """Accuracy within each class that has a row, averaged over these classes; the field's own."""
    classes = np.unique(labels)
    return float(np.mean([np.mean(predicted[labels == c] == c) for c in classes]))


def harmonic(one: float, other: float) -> float:
    """Harmonic mean; 0 if either is 0."""
    return 2 * one * other / (one + other) if one + other > 0 else 0.0


@dataclass(frozen=True)
class ZslScores:
    """Outcome of zero-shot learning, per-class means in [0, 1].

    Attributes
    ----------
    zsl
        Accuracy on unseen classes, among unseen classes.
    unseen, seen
        Accuracies U and S of generalised zero-shot learning: among all classes, on unseen and on
        seen ones.
    """

    zsl: float
    unseen: float
    seen: float

    @property
    def harmonic(self) -> float:
        """H, the harmonic mean of U and S."""
        return harmonic(self.unseen, self.seen)

    def row(self) -> dict[str, float]:
        """For a JSON file."""
        return {"zsl": self.zsl, "U": self.unseen, "S": self.seen, "H": self.harmonic}
