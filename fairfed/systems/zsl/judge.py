"""Linear classifiers on features, and the server's judgement by them.

The server makes features of classes that it has no row of, and counts what a classifier of these
says of real ones, as zero-shot learning does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairfed.config.zsl import ZslSettings
from fairfed.systems.zsl.gan import BETAS, Conditions, FeatureGenerator
from fairfed.systems.zsl.split import Rows, Split
from fairfed.systems.zsl.table import FeatureTable

Source = Callable[[Sequence[int], torch.Generator], tuple[Tensor, Tensor]]
"""Features of classes, ``[n, d]``, and their labels ``[n]``, in the federation's scale."""


def fit_softmax(
    features: Tensor,
    labels: Tensor,
    classes: Sequence[int],
    zsl: ZslSettings,
    generator: torch.Generator,
) -> nn.Linear:
    """Train a linear softmax classifier with Adam on ``[n, d]``, and freeze it.

    Each label ``[n]`` is one of `classes`, which its outputs stand for, in order. Weights begin at
    zero, so that only the order of rows is random.
    """
    targets = _positions(labels, classes)
    model = nn.Linear(features.shape[1], len(classes))
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    optimiser = torch.optim.Adam(model.parameters(), lr=zsl.classifier_lr, betas=BETAS)
    for _ in range(zsl.classifier_epochs):
        order = torch.randperm(len(labels), generator=generator)
        for batch in order.tensor_split(math.ceil(len(order) / zsl.batch_size)):
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
    """Outcome of zero-shot learning, per-class means in [0, 1]."""

    zsl: float  # accuracy on unseen classes, among unseen classes
    # Accuracies U and S of generalised zero-shot learning: among all classes, on unseen and on seen
    # ones
    unseen: float
    seen: float

    @property
    def harmonic(self) -> float:
        """H, the harmonic mean of U and S."""
        return harmonic(self.unseen, self.seen)

    def row(self) -> dict[str, float]:
        """For a JSON file."""
        return {"zsl": self.zsl, "U": self.unseen, "S": self.seen, "H": self.harmonic}


def generated(maker: FeatureGenerator, conditions: Conditions, per_class: int) -> Source:
    """What a feature generator makes of a class: as many features of each."""

    def source(classes: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        labels = torch.tensor(classes).repeat_interleave(per_class)
        with torch.no_grad():
            return maker(conditions.draw(labels, generator), generator), labels

    return source


def stored(features: Tensor, labels: Tensor) -> Source:
    """Features that are there already, such as embeddings of generated images."""

    def source(classes: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.isin(labels, torch.tensor(classes))
        return features[chosen], labels[chosen]

    return source


@dataclass(frozen=True, eq=False)
class Judge:
    """Scores a source of synthetic features on real ones.

    Both classifiers, of unseen classes alone and of all, learn from synthetic features only: the
    server has no client's row.
    """

    table: FeatureTable
    split: Split
    zsl: ZslSettings
    scale: float  # factor from real features to the federation's scale

    def validate(self, source: Source, generator: torch.Generator) -> ZslScores | None:
        """Scores with the validation classes in the place of unseen ones; None without any."""
        split = self.split
        if not split.classes.validation:
            return None
        rows = split.validation_unseen, split.validation_seen
        return self._score(source, split.classes.validation, rows, generator)

    def test(self, source: Source, generator: torch.Generator) -> ZslScores:
        """Scores on the test rows of unseen and trained classes."""
        rows = self.split.test_unseen, self.split.test_seen
        return self._score(source, self.split.classes.unseen, rows, generator)

    def _score(
        self,
        source: Source,
        unseen: Sequence[int],
        rows: tuple[Rows, Rows],
        generator: torch.Generator,
    ) -> ZslScores:
        among_unseen = self._accuracies(source, unseen, rows[:1], generator)
        everything = (*self.split.classes.trained, *unseen)
        among_all = self._accuracies(source, everything, rows, generator)
        return ZslScores(among_unseen[0], among_all[0], among_all[1])

    def _accuracies(
        self,
        source: Source,
        classes: Sequence[int],
        parts: Sequence[Rows],
        generator: torch.Generator,
    ) -> list[float]:
        """Accuracy on each part of a classifier that chooses among `classes`."""
        made, labels = source(classes, generator)
        model = fit_softmax(made, labels, classes, self.zsl, generator)
        found = []
        for rows in parts:
            real = torch.from_numpy(self.table.features[rows]) * self.scale
            told = predict(model, real, classes)
            found.append(mean_class_accuracy(self.table.labels[rows], told))
        return found
